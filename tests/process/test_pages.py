"""Only changed pages are stored, and no page is ever lost by it: against a plain dictionary."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from mmsnap.process import criu_images_pb2 as pb
from mmsnap.process import image_file, pages
from mmsnap.process.pages import PAGE_BYTES

_HEAD = struct.pack("<II", 0x54564319, 0x56084025)
Memory = dict[int, bytes]


def write(images: Path, memory: Memory) -> None:
    """A dump as CRIU makes it: all pages, in runs."""
    images.mkdir(parents=True)
    (images / "pages-1.img").write_bytes(b"".join(memory[a] for a in sorted(memory)))
    entries: list[pb.PagemapEntry] = []
    for address in sorted(memory):
        last = entries[-1] if entries else None
        if last is not None and last.address + last.page_count * PAGE_BYTES == address:
            last.page_count += 1
        else:
            entries.append(pb.PagemapEntry(address=address, page_count_32=0, flags=4, page_count=1))
    (images / "template").write_bytes(_HEAD)
    image_file.rewrite(
        images / "template", images / "pagemap-7.img", [pb.PagemapHead(pages_id=1), *entries]
    )


def read(images: Path) -> Memory:
    """What CRIU would restore: page by page, from the parent where it says so."""
    _, entries = image_file.pagemap(images / "pagemap-7.img")
    stored = (images / "pages-1.img").read_bytes()
    memory, place = {}, 0
    parent = read((images / "parent").resolve()) if (images / "parent").is_symlink() else {}
    for entry in entries:
        for number in range(entry.page_count):
            address = entry.address + number * PAGE_BYTES
            if entry.flags & 1:
                memory[address] = parent[address]
            else:
                memory[address] = stored[place : place + PAGE_BYTES]
                place += PAGE_BYTES
    assert place == len(stored)
    return memory


def changed(memory: Memory, chance: random.Random) -> Memory:
    """The memory a while later: written, freed and new pages."""
    new = dict(memory)
    for _ in range(chance.randrange(12)):
        address = PAGE_BYTES * chance.randrange(40)
        if chance.random() < 0.3:
            new.pop(address, None)
        else:
            new[address] = bytes([chance.randrange(4)]) * PAGE_BYTES
    new.setdefault(0, bytes(PAGE_BYTES))
    return new


@pytest.mark.parametrize("seed", range(60))
def test_every_page_of_every_checkpoint_comes_back(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    memory: Memory = {0: bytes(PAGE_BYTES)}
    taken: dict[int, Memory] = {}
    previous = 0
    for epoch in range(1, 8):
        memory = changed(memory, chance)
        images = tmp_path / str(epoch) / "images"
        write(images, memory)
        if previous:
            total, stored = pages.take_out_unchanged(images, tmp_path / str(previous) / "images")
            assert total == len(memory)
            assert stored == pages.count_stored(images)
        taken[epoch], previous = memory, epoch
        if len(taken) > 2 and chance.random() < 0.5:
            _delete(tmp_path, chance.choice(list(taken)[:-1]), taken)
        for kept, expected in taken.items():
            assert read(tmp_path / str(kept) / "images") == expected, f"@{kept}"


def _delete(folder: Path, epoch: int, taken: dict[int, Memory]) -> None:
    gone = folder / str(epoch) / "images"
    for child in taken:
        link = folder / str(child) / "images" / "parent"
        if link.is_symlink() and link.resolve() == gone.resolve():
            pages.absorb_parent(link.parent)
    gone.rename(folder / f"gone-{epoch}")
    del taken[epoch]


def test_unchanged_pages_are_not_stored_again(tmp_path: Path) -> None:
    memory = {PAGE_BYTES * page: bytes([page]) * PAGE_BYTES for page in range(100)}
    write(tmp_path / "1/images", memory)
    memory[PAGE_BYTES * 50] = b"x" * PAGE_BYTES
    write(tmp_path / "2/images", memory)
    assert pages.take_out_unchanged(tmp_path / "2/images", tmp_path / "1/images") == (100, 1)
    assert (tmp_path / "2/images/pages-1.img").stat().st_size == PAGE_BYTES
