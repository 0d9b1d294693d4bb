"""Images that come as a stream: every byte arrives, or CRIU is made to fail and nothing is kept."""

from __future__ import annotations

import os
import random
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmsnap.errors import PoolFullError
from mmsnap.process import criu_images_pb2 as pb
from mmsnap.process.image_stream import ImageStream
from mmsnap.process.reserve import Reserve

MIB = 1 << 20


class Sender:
    """The other end, as criu/img-streamer.c has it."""

    def __init__(self, stream: ImageStream) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(stream.folder / "streamer-capture.sock"))

    def open(self, name: str) -> int:
        """The writing end of an image's pipe."""
        request = pb.StreamRequest(filename=name).SerializeToString()
        reader, writer = os.pipe()
        self._line.sendall(struct.pack("<I", len(request)) + request)
        socket.send_fds(self._line, [b"\0"], [reader])
        os.close(reader)
        return writer

    def send(self, name: str, data: bytes) -> None:
        with os.fdopen(self.open(name), "wb", buffering=0) as pipe:
            rest = memoryview(data)
            while rest:
                rest = rest[pipe.write(rest) or 0 :]

    def close(self) -> None:
        self._line.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="mmsnap-images-", dir="/dev/shm"))
    (made / "images").mkdir()
    yield made
    shutil.rmtree(made)


def noise(size_bytes: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


@pytest.mark.parametrize("warm_mib", [0, 2, 8, 20])
def test_every_byte_arrives_whatever_was_reserved(folder: Path, warm_mib: int) -> None:
    reserve = Reserve(folder)
    reserve.fill({"7": warm_mib * MIB} if warm_mib else {})
    stream = ImageStream(folder / "images", reserve)
    stream.start()
    sender = Sender(stream)
    contents = {
        "inventory.img": b"small",
        "empty.img": b"",
        "pagemap-7.img": noise(5000),
        "pages-1.img": noise(8 * MIB + 4096, 1),
        "pagemap-shmem-9.img": noise(100),
        "pages-2.img": noise(3 * MIB, 2),
        "core-7.img": noise(2 * MIB, 3),
    }
    for name, data in contents.items():
        sender.send(name, data)
    sender.close()
    assert stream.finish() is None
    stream.settle()
    reserve.release()
    found = {path.name: path.read_bytes() for path in (folder / "images").iterdir()}
    assert found == contents
    assert stream.size_bytes == 11 * MIB + 4096
    assert [path.name for path in folder.iterdir()] == ["images"], "no reserve is left"


def test_images_that_are_open_together_do_not_mix(folder: Path) -> None:
    stream = ImageStream(folder / "images", Reserve(folder))
    stream.start()
    sender = Sender(stream)
    pipes = {f"core-{n}.img": sender.open(f"core-{n}.img") for n in range(40)}
    for _ in range(50):
        for name, pipe in pipes.items():
            os.write(pipe, name.encode())
    for pipe in pipes.values():
        os.close(pipe)
    sender.close()
    assert stream.finish() is None
    for name in pipes:
        assert (folder / "images" / name).read_bytes() == 50 * name.encode()


def test_an_aborted_dump_can_not_write_any_more_and_keeps_no_memory(folder: Path) -> None:
    reserve = Reserve(folder)
    reserve.fill({"7": 16 * MIB})
    stream = ImageStream(folder / "images", reserve)
    stream.start()
    sender = Sender(stream)
    sender.send("pagemap-7.img", b"x")
    pipe = sender.open("pages-1.img")
    written = threading.Event()

    def write() -> None:
        try:
            while True:
                os.write(pipe, bytes(MIB))
                written.set()
        except BrokenPipeError:
            return

    writing = threading.Thread(target=write)
    writing.start()
    assert written.wait(10)
    stream.abort()
    writing.join(10)
    assert not writing.is_alive()
    sender.close()
    assert stream.finish() is None
    stream.settle()
    reserve.release()
    assert [path.name for path in folder.iterdir()] == ["images"]


def test_a_writer_that_vanishes_ends_the_stream(folder: Path) -> None:
    stream = ImageStream(folder / "images", Reserve(folder))
    stream.start()
    sender = Sender(stream)
    os.close(sender.open("pages-1.img"))
    sender.close()
    assert stream.finish() is None
    never = ImageStream(folder / "images", Reserve(folder))
    never.start()
    assert never.finish() is None
    never.abort()


def test_a_pool_without_room_is_an_error_and_ends_the_writer(folder: Path) -> None:
    stream = ImageStream(folder / "images" / "absent", Reserve(folder))
    (folder / "images" / "absent").mkdir()
    stream.start()
    sender = Sender(stream)
    (folder / "images" / "absent" / "pages-1.img").symlink_to("/dev/full")
    with pytest.raises(BrokenPipeError):
        sender.send("pages-1.img", noise(64 * MIB))
    sender.close()
    assert isinstance(stream.finish(), PoolFullError)


def test_a_folder_with_a_long_name_will_do(folder: Path) -> None:
    images = folder / ("n" * 120) / ("m" * 120)
    images.mkdir(parents=True)
    stream = ImageStream(images, Reserve(folder))
    stream.start()
    sender = Sender(stream)
    sender.send("inventory.img", b"here")
    sender.close()
    assert stream.finish() is None
    assert [path.name for path in images.iterdir()] == ["inventory.img"]
