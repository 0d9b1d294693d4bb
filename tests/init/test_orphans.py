"""Processes whose parent went away must not stay as zombies, nor be taken for the program."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.init.conftest import LIMIT_SECONDS, Start, wait_for_line

# Each of them leaves a grandchild behind, which ends when its parent is gone.
_LEAVER = """
import os, sys, time
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            time.sleep(0.01)
            os._exit(3)
        os._exit(0)
    os.waitpid(child, 0)
print("left", flush=True)
time.sleep(float(sys.argv[2]))
sys.exit(4)
"""


def _zombies_of(parent: int) -> int:
    found = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += fields[0] == "Z" and int(fields[1]) == parent
    return found


def test_a_thousand_orphans_are_buried_and_the_exit_code_is_the_programs(start: Start) -> None:
    process = start("python3", "-c", _LEAVER, "1000", "0.5")
    assert wait_for_line(process) == "left"
    deadline = 200
    while _zombies_of(process.pid) and deadline:
        deadline -= 1
        os.sched_yield()
    assert _zombies_of(process.pid) == 0
    assert process.wait(30) == 4


def test_orphans_come_to_mmsnap_init_and_not_to_a_stranger(start: Start) -> None:
    process = start("sh", "-c", "(sleep 60 & echo $!); echo left; exec sleep 60")
    orphan = int(wait_for_line(process))
    assert wait_for_line(process) == "left"
    assert f"\nPPid:\t{process.pid}\n" in Path(f"/proc/{orphan}/status").read_text()
    os.kill(orphan, signal.SIGKILL)


def test_orphans_come_to_number_one(as_number_one: list[str]) -> None:
    script = "(sleep 0.1 & ) ; sleep 0.3; ps -o stat= --ppid 1 | grep -c Z; exit 0"
    done = subprocess.run([*as_number_one, "sh", "-c", script], capture_output=True, check=True)
    assert done.stdout == b"0\n"


def test_nothing_of_a_container_stays_when_the_program_ends(as_number_one: list[str]) -> None:
    done = subprocess.run(
        [*as_number_one, "sh", "-c", "setsid sleep 4242 & exit 6"],
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 6, "and the pipe was closed: the sleeper is gone"


def test_an_orphan_that_stops_or_dies_is_not_the_program(start: Start) -> None:
    script = "(sh -c 'echo $$; kill -STOP $$' & ); (sh -c 'kill -SEGV $$' & ); sleep 0.2; exit 8"
    process = start("sh", "-c", script)
    stopped = int(wait_for_line(process))
    assert process.wait(LIMIT_SECONDS) == 8
    os.kill(stopped, signal.SIGKILL)
