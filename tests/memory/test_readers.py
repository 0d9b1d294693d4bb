"""The fear: a reader whose version changes beside the writer, or one that never was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmsnap.errors import NotFoundError, ReadOnlyError
from mmsnap.memory import Region
from tests.memory import watched
from tests.memory.plain import GRAIN, view


@pytest.mark.parametrize("seed", range(4))
def test_readers_at_older_checkpoints_while_the_writer_goes_on(pool: Path, seed: int) -> None:
    watched.watch(pool, seed)


def test_reader_refuses_what_changes(pool: Path) -> None:
    writer = Region.open(pool, size_bytes=GRAIN)
    writer.grow(GRAIN)
    epoch = writer.checkpoint("one").epoch
    reader = Region.open(pool, mode="r")
    for change in (
        reader.checkpoint,
        reader.restore,
        reader.collect,
        reader.peek,
        lambda: reader.delete(epoch),
        lambda: reader.pin(epoch, True),
        lambda: reader.grow(2 * GRAIN),
    ):
        with pytest.raises(ReadOnlyError):
            change()
    view(reader)[7] = 9  # its own, and not kept
    assert view(writer)[7] == 0
    reader.close()
    writer.close()


def test_reader_of_an_unknown_checkpoint(pool: Path) -> None:
    Region.open(pool, size_bytes=GRAIN).close()
    with pytest.raises(NotFoundError, match="@9"):
        Region.open(pool, mode="r", head=9)
    with pytest.raises(NotFoundError):
        Region.open(pool, "other", mode="r")
    with pytest.raises(NotFoundError):
        Region.open(pool / "nowhere", mode="r")


def test_reader_sees_nothing_of_what_is_not_committed(pool: Path) -> None:
    writer = Region.open(pool, size_bytes=GRAIN)
    writer.grow(GRAIN)
    view(writer)[:] = 1
    writer.checkpoint("one")
    view(writer)[:] = 2
    reader = Region.open(pool, mode="r")
    np.testing.assert_array_equal(view(reader), 1)
    reader.close()
    writer.close()
