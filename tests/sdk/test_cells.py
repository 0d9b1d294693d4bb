"""The cells must hold what was written, and damaged ones must be noticed, never believed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mmsnap
from mmsnap.memory import Region
from mmsnap_sdk.cells import Cells
from mmsnap_sdk.layout import (
    CELL_ALIGNMENT_BYTES,
    CELL_HEADER_BYTES,
    CellKind,
    decode_cell,
    encode_cell,
)
from mmsnap_sdk.space import PAGE_BYTES, Space
from mmsnap_sdk.store import Store


@pytest.fixture
def region(pool: Path) -> Iterator[Region]:
    region = Region.open(pool, "main", size_bytes=64 << 20)
    yield region
    region.close()


def reloaded(region: Region) -> dict[tuple[CellKind, str], bytes | None]:
    cells = Cells(region, Space(region))
    cells.load()
    kinds = (CellKind.ARRAY, CellKind.STATE, CellKind.SCHEMA)
    return {(kind, key): cells.read(kind, key) for kind in kinds for key in cells.keys(kind)}


@pytest.mark.parametrize("seed", range(20))
def test_against_a_dict(region: Region, seed: int) -> None:
    rng = random.Random(seed)
    cells, model = Cells(region, Space(region)), dict[tuple[CellKind, str], bytes | None]()
    cells.create()
    for step in range(400):
        kind = rng.choice([CellKind.ARRAY, CellKind.STATE])
        key = rng.choice("abcdefghäß") * rng.choice([1, 5, 100])
        if rng.random() < 0.3 and (kind, key) in model:
            cells.delete(kind, key)
            del model[kind, key]
        else:
            value = rng.randbytes(rng.choice([0, 1, 15, 16, 17, 300, 5000, rng.randrange(40_000)]))
            cells.write(kind, key, value)
            model[kind, key] = value
        if step % 100 == 99:
            assert reloaded(region) == model
    assert all(cells.read(*name) == value for name, value in model.items())


def test_rewriting_in_place_takes_no_more_room(region: Region) -> None:
    cells = Cells(region, Space(region))
    cells.create()
    cells.write(CellKind.STATE, "n", b"0" * 10)
    before = region.extent_bytes, cells.blocks()
    for number in range(10_000):
        cells.write(CellKind.STATE, "n", b"%010d" % number)
    assert (region.extent_bytes, cells.blocks()) == before


def test_a_growing_value_does_not_eat_the_region(region: Region) -> None:
    cells = Cells(region, Space(region))
    cells.create()
    for size in range(0, 20_000, 20):
        cells.write(CellKind.STATE, "log", b"x" * size)
    assert sum(size for _, size in cells.blocks()) < 10 * 20_000


def test_every_damaged_byte_of_the_cells_is_noticed(region: Region) -> None:
    cells = Cells(region, Space(region))
    cells.create()
    for key in ("a", "bb", "ccc"):
        cells.write(CellKind.STATE, key, b"value of " + key.encode())
    cells.delete(CellKind.STATE, "bb")
    page = region.memory(0, PAGE_BYTES)
    sound, used = bytes(page), reloaded(region)
    unnoticed = 0
    for offset in range(PAGE_BYTES):
        page[offset] ^= 0x55
        try:
            found = reloaded(region)
        except (mmsnap.CorruptionError, mmsnap.FormatVersionError):
            pass
        else:
            assert found == used, f"byte {offset} changed a value and nobody noticed"
            unnoticed += offset < 200
        page[:] = sound
    assert unnoticed < 90, "only the stamp, spare room and what was freed may change unnoticed"


@settings(max_examples=300)
@given(st.binary(min_size=0, max_size=80))
def test_random_bytes_are_no_cell(data: bytes) -> None:
    with pytest.raises(mmsnap.CorruptionError):
        decode_cell(memoryview(data), "random bytes")


@pytest.mark.parametrize(
    ("room", "key", "value"), [(2**32 - 16, b"", b""), (32, b"k" * 30, b"v" * 30), (20, b"k", b"v")]
)
def test_lengths_are_checked_even_when_the_checksum_is_right(
    room: int, key: bytes, value: bytes
) -> None:
    data = encode_cell(CellKind.STATE, room, key, value)
    with pytest.raises(mmsnap.CorruptionError):
        decode_cell(memoryview(data.ljust(48, b"\0")), "a forged cell")


def test_two_cells_of_one_name_are_refused(region: Region) -> None:
    cells = Cells(region, Space(region))
    cells.create()
    cells.write(CellKind.STATE, "one", b"1")
    cells.write(CellKind.STATE, "two", b"2")
    page = region.memory(0, PAGE_BYTES)
    at = bytes(page).index(b"two2") - CELL_HEADER_BYTES
    twin = encode_cell(CellKind.STATE, CELL_ALIGNMENT_BYTES, b"one", b"2")
    page[at : at + len(twin)] = twin
    with pytest.raises(mmsnap.CorruptionError, match="two cells named 'one'"):
        reloaded(region)


def test_a_chain_of_blocks_with_a_loop_ends(region: Region) -> None:
    cells = Cells(region, Space(region))
    cells.create()
    cells.write(CellKind.STATE, "big", bytes(10_000))
    (_, _), (offset, size) = cells.blocks()
    region.memory(offset, size)[:PAGE_BYTES] = region.memory(0, PAGE_BYTES)
    with pytest.raises(mmsnap.CorruptionError):
        reloaded(region)


def test_a_full_region_keeps_the_old_value(pool: Path) -> None:
    small = Region.open(pool, "small", size_bytes=4 << 20)
    store = Store(small)
    store.open()
    with store.step:
        store.write(CellKind.STATE, "key", b"old")
        with pytest.raises(mmsnap.PoolFullError):
            store.write(CellKind.STATE, "key", bytes(8 << 20))
        assert store.read(CellKind.STATE, "key") == b"old"
        store.write(CellKind.STATE, "key", b"new")
    assert reloaded(small) == {(CellKind.STATE, "key"): b"new"}
    small.close()
