"""The fear: a checkpoint in which an update is half done passes for a sound one elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmsnap.archive.adoption import adopting
from mmsnap.archive.header import RegionHeader
from mmsnap.catalog import EngineKind
from mmsnap.memory import Region
from mmsnap.store.packing import pack
from mmsnap.store.part_name import PartName
from mmsnap.store.unpacking import Unpacking
from tests.memory.conftest import NewPool

SIZE_BYTES = 1 << 20


@pytest.mark.parametrize("is_torn", [True, False])
def test_a_copy_on_another_node_is_as_torn_as_what_it_is_of(
    new_pool: NewPool, is_torn: bool
) -> None:
    here, there = new_pool("dram"), new_pool("dram")
    region = Region.open(here, "g.m", mode="x", size_bytes=SIZE_BYTES)
    region.grow(SIZE_BYTES)
    region.partial = is_torn
    taken = region.checkpoint("x")
    part = PartName("g", "m", EngineKind.MEMORY, taken.epoch)
    unpacking = Unpacking(there, part, lambda epoch: True)
    for piece in pack(here, part, ()):
        unpacking.take(piece)
    unpacking.close()
    region.close()
    assert is_found_torn(there) == (is_torn, is_torn)


@pytest.mark.parametrize("is_torn", [True, False])
def test_what_is_made_of_an_archive_is_as_torn_as_what_went_into_it(
    pool: Path, is_torn: bool
) -> None:
    with adopting(pool, "g") as adoption:
        adoption.add_region("m", RegionHeader(SIZE_BYTES, SIZE_BYTES, {}, partial=is_torn))
        adoption.complete("x")
    assert is_found_torn(pool) == (is_torn, is_torn)


def is_found_torn(pool: Path) -> tuple[bool, bool]:
    """Whether the checkpoint says so, and the region that is opened at it."""
    region = Region.open(pool, "g.m")
    try:
        return region.find("x").partial, region.partial
    finally:
        region.close()
