"""One program that knows nothing of mmsnap: captured, rolled back, restored after its death."""

from __future__ import annotations

import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from mmsnap.process.manifest import Part
from tests.process.programs import COUNTER
from tests.process.site import Shim, Site, await_true


def counter(here: Site, mib: int = 8) -> Shim:
    shim = here.run("g", "a", sys.executable, "-c", COUNTER, str(mib))
    await_true(lambda: len(shim.lines) > 5, "the program counts")
    return shim


def last(shim: Shim) -> int:
    return int(shim.lines[-1])


def test_a_program_runs_on_after_its_checkpoint(here: Site) -> None:
    shim = counter(here)
    taken = here.checkpoint("g", "c")
    at_cut = last(shim)
    await_true(lambda: last(shim) > at_cut + 10, "it counts on")
    (part,) = taken["members"]
    assert part["engine"] == "process"
    assert part["pause_ns"] >= part["dump_ns"] > 0
    assert shim.lines == [str(number) for number in range(1, last(shim) + 1)]


def test_rolled_back_in_place_it_counts_from_there(here: Site) -> None:
    shim = counter(here)
    here.checkpoint("g", "c")
    at_cut = last(shim)
    await_true(lambda: last(shim) > at_cut + 100, "it gets far ahead")
    pids = shim.pids()
    here.mmsnap("restore", "g", "c")
    await_true(lambda: last(shim) < at_cut + 50, "it is back")
    assert shim.process.poll() is None, "the shim stays"
    assert set(pids).isdisjoint(shim.pids()), "the processes are others"
    ahead = last(shim)
    await_true(lambda: last(shim) > ahead + 5, "it counts on")


def test_killed_and_started_again_it_is_restored_instead(here: Site) -> None:
    shim = counter(here)
    before = last(shim)
    here.checkpoint("g", "c")
    after = last(shim)
    await_true(lambda: last(shim) > after + 50, "it gets ahead")
    shim.kill_program()
    assert shim.process.returncode == 128 + signal.SIGKILL
    waiting = here.mmsnap("restore", "g", "c")
    assert "as soon as a has been started" in waiting.stdout
    again = here.run("g", "a", sys.executable, "-c", COUNTER, "8")
    await_true(lambda: again.lines, "it counts again")
    assert before <= int(again.lines[0]) <= after + 1


def test_started_again_without_a_pending_restore_it_begins_anew(here: Site) -> None:
    shim = counter(here)
    here.checkpoint("g", "c")
    shim.kill_program()
    again = counter(here)
    assert again.lines[0] == "1"


def test_the_second_checkpoint_stores_what_changed(here: Site) -> None:
    counter(here, mib=64)
    here.checkpoint("g", "one")
    here.checkpoint("g", "two")
    first, second = here.manifest("g", "a", 1), here.manifest("g", "a", 2)
    assert first["pages_stored"] == first["pages_total"] > (64 << 20) // 4096
    assert second["parent"] == 1
    assert second["pages_stored"] < first["pages_total"] // 50


def test_what_relied_on_a_deleted_checkpoint_is_still_whole(here: Site) -> None:
    shim = counter(here, mib=16)
    for name in ("one", "two", "three"):
        here.checkpoint("g", name)
    at_cut = last(shim)
    here.mmsnap("checkpoint", "delete", "g", "one", "--yes")
    here.mmsnap("checkpoint", "delete", "g", "two", "--yes")
    assert [path.name for path in (here.pool / "processes/g.a").glob("[0-9]")] == ["3"]
    here.mmsnap("checkpoint", "verify", "g", "three")
    await_true(lambda: last(shim) > at_cut + 100, "it gets ahead")
    here.mmsnap("restore", "g", "three")
    await_true(lambda: last(shim) < at_cut + 50, "it is back")


def test_signals_reach_it_and_its_exit_code_comes_back(here: Site) -> None:
    program = (
        "import signal,sys,time\nsignal.signal(15,lambda *_:sys.exit(7))\n"
        "print('up',flush=1)\ntime.sleep(60)"
    )
    shim = here.run("g", "a", sys.executable, "-c", program)
    await_true(lambda: shim.lines, "it is up")
    here.checkpoint("g", "c")
    here.mmsnap("restore", "g", "c")
    shim.process.send_signal(signal.SIGTERM)
    assert shim.process.wait(10) == 7


def test_files_given_to_it_belong_to_the_checkpoint(here: Site) -> None:
    data = here.folder / "data"
    data.mkdir()
    (data / "old").write_text("then")
    program = (
        f"import time\nf=open({str(data / 'log')!r},'a')\nn=0\n"
        "while True:\n n+=1; f.write(f'{n}\\n'); f.flush(); print(n,flush=True); time.sleep(0.02)"
    )
    shim = here.run("g", "a", sys.executable, "-c", program, options=("--files", str(data)))
    await_true(lambda: len(shim.lines) > 5, "it writes")
    here.checkpoint("g", "c")
    (data / "old").write_text("changed")
    (data / "new").write_text("came later")
    time.sleep(0.5)
    here.mmsnap("restore", "g", "c")
    await_true(lambda: len((data / "log").read_text().split()) > 10, "it writes on")
    numbers = [int(line) for line in (data / "log").read_text().split()]
    assert numbers == list(range(1, len(numbers) + 1)), "the file and the memory are of one instant"
    assert (data / "old").read_text() == "then"
    assert not (data / "new").exists()


def test_images_are_for_their_owner_only(here: Site) -> None:
    counter(here)
    here.checkpoint("g", "c")
    part = here.pool / "processes/g.a/1"
    loose = [f for f in part.rglob("*") if not f.is_symlink() and f.stat().st_mode & 0o077]
    assert not loose
    assert part.stat().st_mode & 0o077 == 0


CLOCKS = """
import struct
import subprocess
import time
from dataclasses import replace
from pathlib import Path
while True:
    print(time.clock_gettime_ns(time.CLOCK_MONOTONIC), time.clock_gettime_ns(time.CLOCK_BOOTTIME),
          flush=True)
    time.sleep(0.02)
"""


def test_clocks_go_on_from_the_cut_although_the_machine_was_restarted(here: Site) -> None:
    program = here.run("g", "m", sys.executable, "-c", CLOCKS)
    await_true(lambda: len(program.lines) > 3, "it tells the time")
    here.checkpoint("g", "c")
    # As if the machine had been up for a month when that was taken, and now for much less.
    part, month_seconds = Part(here.pool / "processes" / "g.m", 1), 30 * 24 * 3600
    image = part.images / "timens-0.img"
    head, (monotonic, boottime) = image.read_bytes()[:8], timens_seconds(image)
    image.write_bytes(head + timens(monotonic + month_seconds, boottime + month_seconds))
    part.seal(replace(part.load(), checksums=part.measure()))
    for restored in ("in place", "after its death", "in place again"):
        if restored == "after its death":
            program.kill_program()
            here.mmsnap("restore", "g", "c")
            program = here.run("g", "m", "false")
        else:
            here.mmsnap("restore", "g", "c")
        count = len(program.lines)
        await_true(lambda p=program, n=count: len(p.lines) > n + 2, f"it goes on {restored}")
        now = [int(word) / 1e9 - month_seconds for word in program.lines[-1].split()]
        assert monotonic <= now[0] < monotonic + 10, restored
        assert boottime <= now[1] < boottime + 10, restored
    here.checkpoint("g", "later")
    here.mmsnap("restore", "g", "later")


def timens_seconds(image: Path) -> tuple[int, int]:
    """Monotonic and boottime of CRIU's timens image: two messages of seconds and nanoseconds."""
    data, at, found = image.read_bytes()[8:], 4, []
    while at < len(data):
        size, value, shift, place = data[at + 1], 0, 0, at + 3
        while True:
            value |= (data[place] & 0x7F) << shift
            shift += 7
            place += 1
            if data[place - 1] < 0x80:
                break
        found.append(value)
        at += 2 + size
    monotonic, boottime = found
    return monotonic, boottime


def timens(*seconds: int) -> bytes:
    """The image's entry with these times."""
    entry = b""
    for field, value in enumerate(seconds, start=1):
        digits = []
        while True:
            digits.append(value & 0x7F | (0x80 if value > 0x7F else 0))
            value >>= 7
            if not value:
                break
        body = b"\x08" + bytes(digits) + b"\x10\x00"
        entry += bytes([field << 3 | 2, len(body)]) + body
    return struct.pack("<I", len(entry)) + entry


# Most of the time it waits for a child of vfork, which takes its time to end.
BEARING = r"""
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    for (long count = 0;; count++) {
        pid_t child = vfork();
        if (child == 0) {
            usleep(50000);
            _exit(0);
        }
        waitpid(child, NULL, 0);
        printf("%ld\n", count);
        fflush(stdout);
        usleep(10000);
    }
}
"""


def test_a_program_in_the_middle_of_making_another_is_not_cut_there(here: Site) -> None:
    program, source = here.folder / "bearing", here.folder / "bearing.c"
    source.write_text(BEARING)
    subprocess.run(["cc", "-o", program, source], check=True)
    shim = here.run("g", "m", str(program))
    await_true(lambda: len(shim.lines) > 3, "it counts")
    for number in range(4):
        taken = here.checkpoint("g", f"c{number}")
        assert taken["pause_ns"] < 2e9, "CRIU would have waited for ten seconds"
    here.mmsnap("restore", "g", "c1")
    count = len(shim.lines)
    await_true(lambda: len(shim.lines) > count + 5, "it counts on")
