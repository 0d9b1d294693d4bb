"""A program must find everything as it would without mmsnap-init."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.init.conftest import Start

Run = Callable[..., subprocess.CompletedProcess[bytes]]

_PROBE = """
import json, os, resource, signal, sys
status = dict(line.strip().split(":", 1) for line in open("/proc/self/status"))
names = ("Umask", "NoNewPrivs", "Seccomp", "Groups", "CapEff")
names += ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd")
files = {}
for name in os.listdir("/proc/self/fd"):
    try:
        files[name] = os.readlink("/proc/self/fd/" + name)
    except FileNotFoundError:
        pass
print(json.dumps({
    "arguments": sys.argv[1:], "environment": dict(os.environ),
    "folder": os.getcwd(), "files": files,
    "leads its session": os.getsid(0) == os.getpid(),
    "leads its group": os.getpgrp() == os.getpid(),
    "nice": os.nice(0), "limits": [resource.getrlimit(n) for n in range(16)],
    **{name: status.get(name) for name in names},
}))
"""


def _settle() -> None:
    """Some of everything that a program inherits."""
    os.umask(0o027)
    os.nice(3)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGHUP})


def _found(words: list[str | Path], folder: Path, closed: tuple[int, ...], kept: int) -> Any:
    def prepare() -> None:
        _settle()
        for fd in closed:
            os.close(fd)

    done = subprocess.run(
        [*words, sys.executable, "-c", _PROBE, "", "two words", "--", "-x"],
        cwd=folder,
        env={"A": "1", "EMPTY": "", "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[kept],
        preexec_fn=prepare,
        check=True,
    )
    told = json.loads(done.stdout)
    # Each run has a pipe of its own for what it prints.
    told["files"].pop("1")
    return told


def test_nothing_that_a_program_inherits_is_changed(init: Path, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as kept:
        for closed in ((), (0,), (0, 2)):
            bare = _found([], tmp_path, closed, kept.fileno())
            assert _found([init, "--"], tmp_path, closed, kept.fileno()) == bare
            assert str(kept.fileno()) in bare["files"]


def test_standard_input_comes_through(run: Run) -> None:
    sent = os.urandom(3_000_000)
    assert run("cat", input=sent).stdout == sent


def test_a_file_that_the_program_closes_is_closed(start: Start) -> None:
    """A log's reader, and who feeds standard input, wait for that."""
    script = "import os, time; os.close(0); os.close(1); time.sleep(60)"
    process = start("python3", "-c", script, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read() == b""
    assert process.stdin is not None
    try:
        process.stdin.write(b"x" * 100_000)
        process.stdin.flush()
    except BrokenPipeError:
        return
    raise AssertionError("somebody holds standard input open")


def test_closed_standard_files_do_no_harm(init: Path) -> None:
    script = f"exec '{init}' -- sh -c 'exit 3' <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 3


def test_it_needs_no_capability_and_no_file_that_can_be_written(
    init: Path, as_number_one: list[str], tmp_path: Path
) -> None:
    (tmp_path / "init").write_bytes(init.read_bytes())
    (tmp_path / "init").chmod(0o555)
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs"
    look = 'touch /mnt/x 2>/dev/null && exit 1; grep -q "CapBnd.*[1-9a-f]" /proc/self/status'
    script = (
        f"mount --bind {tmp_path} /mnt && mount -o remount,bind,ro /mnt"
        " && mount -o remount,bind,ro /"
        f" && exec {nobody} --bounding-set=-all --inh-caps=-all /mnt/init --"
        f" sh -c '{look} && exit 2; exit 12'"
    )
    assert subprocess.run(["unshare", "--mount", "sh", "-c", script], check=False).returncode == 12
