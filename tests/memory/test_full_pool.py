"""The fear: a medium without room that costs data, a crash, or the way out.

A pool needs about twice its region, and logs and deltas: these run over a medium that is
really full, filled by a file beside the pool.
"""

from __future__ import annotations

from pathlib import Path

from tests.memory import small_medium

PROLOGUE = """
import os, signal, threading
import numpy as np
from mmsnap.errors import MmsnapError, PoolFullError
from mmsnap.memory import Region
from tests.memory.plain import GRAIN, view

def fill_up():
    with open(medium / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass

def make_room():
    os.unlink(medium / "filler")

def raises_full(call):
    try:
        call()
    except PoolFullError as error:
        assert "free space" in error.hint, error.hint
        return True
    return False

pool = medium / "pool"
"""


def run(folder: Path, statement: str, size_mib: int = 40) -> None:
    small_medium.run(PROLOGUE + statement, folder / "medium", size_mib)


def test_a_checkpoint_without_room_says_so_before_the_pause_and_loses_nothing(
    tmp_path: Path,
) -> None:
    run(
        tmp_path,
        """
region = Region.open(pool, size_bytes=8 * GRAIN)
region.grow(5 * GRAIN)
region.checkpoint("first")
region.settle()
shown = view(region)
shown[:] = np.arange(shown.size) % 251 + 1
expected = shown.copy()
fill_up()
inside, leave = threading.Event(), threading.Event()
def hold():
    with region.guard:
        inside.set()
        leave.wait()
holder = threading.Thread(target=hold)
holder.start()
inside.wait()
# An update is open: had it come to holding the gate, this would be QuiesceTimeoutError.
assert raises_full(lambda: region.checkpoint("full", quiesce_timeout_ns=1_000_000))
leave.set()
holder.join()
np.testing.assert_array_equal(shown, expected)
make_room()
region.checkpoint("second")
region.close()
region = Region.open(pool)
np.testing.assert_array_equal(view(region), expected)
region.verify()
region.close()
""",
    )


def test_a_region_that_finds_no_room_to_grow_stays_as_it_is(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
region = Region.open(pool, size_bytes=64 * GRAIN)
region.grow(GRAIN)
view(region)[:] = 7
assert raises_full(lambda: region.grow(30 * GRAIN))
assert region.extent_bytes == GRAIN
view(region)[:] = 8
region.checkpoint("grown")
assert raises_full(lambda: region.grow(65 * GRAIN)) # beyond its own bound
region.close()
region = Region.open(pool)
assert region.extent_bytes == GRAIN and (view(region) == 8).all()
region.close()
""",
    )


def test_killed_on_a_full_medium_it_opens_and_deleting_is_the_way_out(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
def write(region, value):
    view(region)[:] = value

child = os.fork()
if child == 0:
    region = Region.open(pool, size_bytes=GRAIN)
    region.grow(GRAIN)
    for value in range(1, 5):
        write(region, value)
        region.checkpoint(f"c{value}")
        region.settle()
    reader = Region.open(pool, mode="r")  # keeps the next from being applied
    write(region, 5)
    region.checkpoint("c5")
    write(region, 6)
    fill_up()
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
region = Region.open(pool)
assert region.head.name == "c5" and (view(region) == 5).all()
write(region, 7)
refused = raises_full(lambda: region.checkpoint("c7"))
for value in range(1, 4):
    region.delete(region.find(f"c{value}").epoch)
if refused:
    region.checkpoint("c7")
assert (view(region) == 7).all()
region.restore(region.find("c4").epoch)
assert (view(region) == 4).all()
region.verify()
region.close()
region = Region.open(pool)
assert region.head.name == "c4" and (view(region) == 4).all()
region.close()
""",
    )


def test_at_every_level_of_fullness_a_step_is_done_or_refused(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
# Whatever room is left, a step either happens as asked or raises and changes nothing.
kept, value = {}, 0
region = Region.open(pool, size_bytes=GRAIN)
region.grow(GRAIN)
refused = 0
with open(medium / "filler", "wb", buffering=0) as filler:
    for round in range(120):
        try:
            if round % 3 == 0:
                filler.write(bytes(500_000))
        except OSError:
            pass
        value = value % 250 + 1
        view(region)[(round % 7) * 4096 :] = value
        shown = view(region).copy()
        try:
            record = region.checkpoint()
            kept[record.epoch] = shown
            if round % 5 == 0:
                target = sorted(kept)[round % len(kept)]
                shown = kept[target]
                try:
                    region.restore(target)
                except MmsnapError:
                    shown = view(region).copy()
                    np.testing.assert_array_equal(shown, kept[record.epoch])
        except PoolFullError:
            refused += 1
            if round % 4 == 0 and len(kept) > 2:
                oldest = next(e for e in sorted(kept) if e != region.head.epoch)
                try:
                    region.delete(oldest)
                    del kept[oldest]
                except PoolFullError:
                    assert oldest in [r.epoch for r in region.checkpoints()]
        np.testing.assert_array_equal(view(region), shown)
        assert sorted(kept) == [record.epoch for record in region.checkpoints()]
assert refused > 5
make_room()
region.settle()
region.verify()
for epoch, expected in kept.items():
    reader = Region.open(pool, mode="r", head=epoch)
    np.testing.assert_array_equal(view(reader), expected)
    reader.close()
region.close()
""",
        size_mib=24,
    )
