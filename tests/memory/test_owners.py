"""The fear: two who write one region, a forked child that thinks it may, and views that fault."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mmsnap.errors import ForkedError, InUseError, NotFoundError, UnsupportedError
from mmsnap.memory import Region, regions
from tests.memory.plain import GRAIN, view

ROOT = Path(__file__).parents[2]


def in_another_process(source: str, *arguments: object, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.stdout


def in_forked_child(check: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            check()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def open_grown(pool: Path) -> Region:
    region = Region.open(pool, "r", size_bytes=4 * GRAIN)
    region.grow(GRAIN)
    return region


# ---- one owner --------------------------------------------------------------------------


def test_a_second_process_is_told_who_has_it(pool: Path) -> None:
    region = open_grown(pool)
    told = in_another_process(
        """
        import sys
        from mmsnap.errors import InUseError
        from mmsnap.memory import Region
        try:
            Region.open(sys.argv[1], "r")
        except InUseError as error:
            print(error.pid, error.retryable, 'mode="r"' in error.hint)
        """,
        pool,
    )
    assert told.split() == [str(os.getpid()), "True", "True"]
    region.close()
    Region.open(pool, "r").close()


def test_a_second_open_of_the_same_process_is_refused_and_harmless(pool: Path) -> None:
    region = open_grown(pool)
    for _ in range(3):
        with pytest.raises(InUseError):
            Region.open(pool, "r")
    assert (
        in_another_process(
            """
            import sys
            from mmsnap.errors import InUseError
            from mmsnap.memory import Region
            try:
                Region.open(sys.argv[1], "r")
            except InUseError:
                print("refused")
            """,
            pool,
        ).strip()
        == "refused"
    )
    region.close()


def test_modes(pool: Path) -> None:
    with pytest.raises(NotFoundError):
        Region.open(pool, "r", mode="r+")
    assert not pool.exists()
    region = Region.open(pool, "r", mode="x", size_bytes=GRAIN)
    assert region.created
    region.close()
    with pytest.raises(FileExistsError):
        Region.open(pool, "r", mode="x")
    assert not Region.open(pool, "r", mode="r+").created
    assert regions(pool) == ["r"]
    with pytest.raises(ValueError, match="mode"):
        Region.open(pool, "r", mode="w")
    with pytest.raises(ValueError, match="letters"):
        Region.open(pool, "no/way")


# ---- forked children -------------------------------------------------------------------


def test_a_forked_child_is_refused_and_changes_nothing(pool: Path) -> None:
    region = open_grown(pool)
    shown = view(region)
    shown[:] = 5
    epoch = region.checkpoint("one").epoch

    def check() -> None:
        calls: list[Callable[[], object]] = [
            region.checkpoint,
            region.restore,
            region.checkpoints,
            region.settle,
            region.usage,
            region.collect,
            region.peek,
            region.verify,
            region.close,
            lambda: region.head,
            lambda: region.delete(epoch),
            lambda: region.grow(2 * GRAIN),
            lambda: region.guard.__enter__(),
        ]
        for call in calls:
            with pytest.raises(ForkedError):
                call()
        assert (shown == 5).all()
        shown[:] = 6  # its own memory
        assert (shown == 6).all()

    in_forked_child(check)
    assert (shown == 5).all()
    region.close()
    region = Region.open(pool, "r")
    assert (view(region) == 5).all()
    region.close()


def test_a_child_forked_in_the_middle_of_everything(pool: Path) -> None:
    """Other threads hold locks at the moment of the fork; the child must not wait for them."""
    region = open_grown(pool)
    shown = view(region)
    enough = threading.Event()

    def keep() -> None:
        while not enough.is_set():
            shown[::4096] += 1
            region.checkpoint()
            if len(region.checkpoints()) > 3:
                region.delete(region.checkpoints()[0].epoch)

    keeper = threading.Thread(target=keep)
    keeper.start()

    def check() -> None:
        for call in (region.checkpoint, region.peek, region.usage, region.close):
            with pytest.raises(ForkedError):
                call()

    for _ in range(30):
        in_forked_child(check)
    enough.set()
    keeper.join()
    region.verify()
    region.close()


# ---- views ------------------------------------------------------------------------------


def test_views_show_what_was_restored_at_the_same_address(pool: Path) -> None:
    region = open_grown(pool)
    shown = view(region)
    address = region.address
    shown[:] = 1
    first = region.checkpoint().epoch
    shown[:] = 2
    region.checkpoint()
    region.restore(first)
    assert region.address == address
    assert (shown == 1).all()
    shown[0] = 9
    assert view(region)[0] == 9
    region.close()


def test_views_live_on_after_close_and_keep_nothing(pool: Path) -> None:
    region = open_grown(pool)
    shown = view(region)
    shown[:] = 3
    region.checkpoint()
    region.close()
    region.close()
    shown[:100] = 4
    shown[-1] = 4
    del region
    gc.collect()
    assert shown[0] == 4
    assert shown[200] == 3
    again = Region.open(pool, "r")
    assert (view(again) == 3).all()
    again.close()
    with pytest.raises(ValueError, match="closed"):
        again.checkpoint()


def test_memory_outside_of_the_extent_is_not_handed_out(pool: Path) -> None:
    region = open_grown(pool)
    for offset, size in ((0, GRAIN + 1), (GRAIN, 1), (-1, 2), (0, -1)):
        with pytest.raises(ValueError, match="outside"):
            region.memory(offset, size)
    assert len(region.memory(GRAIN, 0)) == 0
    region.close()


# ---- crashes ------------------------------------------------------------------------------


def test_a_crash_right_after_a_roll_back_does_not_bring_it_back(pool: Path) -> None:
    in_another_process(
        """
        import os, signal, sys
        from mmsnap.memory import Region
        from tests.memory.plain import GRAIN, view
        region = Region.open(sys.argv[1], "r", size_bytes=GRAIN)
        region.grow(GRAIN)
        for value in (1, 2, 3):
            view(region)[:] = value
            region.checkpoint(f"c{value}")
        region.restore(region.find("c1").epoch)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        pool,
    )
    region = Region.open(pool, "r")
    assert region.head is not None
    assert region.head.name == "c1"
    assert (view(region) == 1).all()
    assert region.checkpoint("c4").parent == region.find("c1").epoch
    region.close()


def test_unknown_checkpoints(pool: Path) -> None:
    region = open_grown(pool)
    view(region)[:] = 1
    region.checkpoint("one")
    view(region)[:] = 2
    for call in (
        lambda: region.restore(99),
        lambda: region.delete(99),
        lambda: region.pin(99, True),
        lambda: region.verify(99),
        lambda: region.find("two"),
        lambda: region.find("@2"),
        lambda: region.restore(0),  # no checkpoint has this number; it is not "the head"
    ):
        with pytest.raises(NotFoundError):
            call()
    assert (view(region) == 2).all()
    with pytest.raises(FileExistsError):
        region.checkpoint("one")
    with pytest.raises(ValueError, match="head"):
        region.delete(1)
    region.close()
    with pytest.raises(NotFoundError):
        Region.open(pool, "r", mode="r+", head=99)


# ---- kernels that can not -------------------------------------------------------------------


@pytest.mark.parametrize("lacking", ["no-userfaultfd", "no-wp-async", "no-pagemap-scan"])
def test_a_kernel_without_the_features_is_refused_clearly(
    pool: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    monkeypatch.setenv("MMSNAP_SIMULATE_KERNEL", lacking)
    with pytest.raises(UnsupportedError) as raised:
        Region.open(pool, "r", size_bytes=GRAIN)
    assert "mmsnap doctor" in raised.value.hint
    assert not (pool / "regions").exists() or regions(pool) == []
    monkeypatch.delenv("MMSNAP_SIMULATE_KERNEL")
    open_grown(pool).close()


def test_durability_that_the_medium_can_not_keep(pool: Path) -> None:
    region = open_grown(pool)
    if region.medium == "dram":
        with pytest.raises(UnsupportedError):
            region.checkpoint(durable=True)
        epoch = region.checkpoint().epoch
        with pytest.raises(UnsupportedError):
            region.flush(epoch)
    region.close()


def test_durable_on_a_disk(new_pool: Callable[[str], Path]) -> None:
    region = open_grown(new_pool("file"))
    assert region.medium == "file"
    assert region.checkpoint(durable=True).durable
    captured = region.checkpoint()
    region.flush(captured.epoch)
    assert region.find(f"@{captured.epoch}").durable
    region.close()
