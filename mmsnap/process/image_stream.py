"""Taking CRIU's images from it as a stream, in place of letting it write files.

CRIU hands over the reading end of a pipe for each image (its option --stream). Its pages come as
references to the program's own, so that they are copied once, into memory that is warm (`Reserve`).
And a dump that takes too long is made to fail without a signal: nobody reads any more.

The protocol is that of criu/img-streamer.c: on a socket in the images' folder, a size and a message
with the image's name, then a byte with the descriptor; the end of the connection is the end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import selectors
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from mmsnap.errors import MmsnapError, PoolFullError
from mmsnap.process import criu_images_pb2 as pb
from mmsnap.process.reserve import SHARED, Reserve, Warm

_SOCKET: Final = "streamer-capture.sock"
_SIZE: Final = struct.Struct("<I")
_PIPE_BYTES: Final = 1 << 20  # the most that an ordinary kernel lets a pipe have
_SMALL_BYTES: Final = 1 << 20  # up to this, an image is not worth a warm file
_PRIVATE: Final = 0o600
_ABORT: Final = b"a"
_END: Final = b"e"


class ImageStream:
    """The images of one dump. `start`, let CRIU run to its end, `finish`, later `settle`."""

    def __init__(
        self,
        images: Path,
        reserve: Reserve,
        *,
        process_count: int = 0,
        sockets_taken: Callable[[], object] = lambda: None,
    ) -> None:
        """`sockets_taken` is called on the stream's thread when CRIU has done with all sockets:
        of `process_count` processes the last one's pages begin, which come after its files."""
        self._images = images
        self._reserve = reserve
        # A socket's path has at most 107 bytes, and the pool's may be longer.
        self._short = Path(tempfile.mkdtemp(prefix="mmsnap-"))
        self.folder = self._short / "images"
        self._selector = selectors.DefaultSelector()
        self._stopped, self._stopper = os.pipe2(os.O_CLOEXEC)
        self._warm: list[tuple[Warm, Path, int]] = []
        self._connection: socket.socket | None = None
        self._coming: dict[int, _Image] = {}  # by pipe
        self._owner = ""  # of the pages that come next
        self._to_come = process_count
        self._sockets_taken = sockets_taken
        self._ended = self._aborted = self._finished = False
        self._stopping = threading.Lock()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._receive, name="images")
        self.size_bytes = 0  # of the pages that have come

    def start(self) -> None:
        """Listens; CRIU is to be given `folder` as its images' folder."""
        self.folder.symlink_to(self._images)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / _SOCKET))
        self._listener.listen(1)
        self._thread.start()

    def abort(self) -> None:
        """Nothing is read any more: what CRIU writes next fails. Also from another thread."""
        with self._stopping:
            if not self._finished:
                os.write(self._stopper, _ABORT)

    def finish(self) -> MmsnapError | None:
        """When CRIU has ended: everything is here, or why it is not."""
        with self._stopping:
            self._finished = True
            os.write(self._stopper, _END)
        self._thread.join()
        self._listener.close()
        for descriptor in (self._stopped, self._stopper):
            os.close(descriptor)
        (self._images / _SOCKET).unlink(missing_ok=True)
        shutil.rmtree(self._short, ignore_errors=True)
        if self._error is None:
            return None
        if isinstance(self._error, OSError) and self._error.errno == errno.ENOSPC:
            return PoolFullError("the pool has no room for the rest of the dump")
        return MmsnapError(f"the dump could not be kept: {self._error}")

    def settle(self) -> None:
        """Gives the images that are in warm files their names: work for after the pause."""
        while self._warm:
            warm, target, size_bytes = self._warm.pop()
            warm.keep(target, size_bytes)

    # ---- on its thread ----

    def _receive(self) -> None:
        try:
            self._listen(self._listener, self._accept)
            self._listen(self._stopped, self._hear_stop)
            while not self._is_over:
                for key, _ in self._selector.select():
                    key.data()
        except Exception as error:
            self._error = error
        finally:
            for pipe, image in self._coming.items():
                os.close(pipe)
                image.abandon()
            if self._connection is not None:
                self._connection.close()
            self._selector.close()

    @property
    def _is_over(self) -> bool:
        whole = self._ended and self._connection is None and not self._coming
        return whole or self._aborted

    def _listen(self, source: socket.socket | int, hear: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, hear)

    def _hear_stop(self) -> None:
        self._aborted = os.read(self._stopped, 1) == _ABORT
        self._ended = True
        self._selector.unregister(self._stopped)

    def _accept(self) -> None:
        self._connection, _ = self._listener.accept()
        self._listen(self._connection, self._hear_criu)

    def _hear_criu(self) -> None:
        assert self._connection is not None
        request = _request(self._connection)
        if request is None:
            self._selector.unregister(self._connection)
            self._connection.close()
            self._connection = None
            return
        name, pipe = request
        self._owner = _owner(name) or self._owner
        self._coming[pipe] = _Image(self._images / name, self._reserve, self._owner)
        self._listen(pipe, lambda: self._hear_image(pipe))
        if self._coming[pipe].is_pages:
            self._to_come -= 1
            if self._to_come == 0:
                self._sockets_taken()

    def _hear_image(self, pipe: int) -> None:
        image = self._coming[pipe]
        if image.read(pipe):
            return
        self._selector.unregister(pipe)
        os.close(pipe)
        del self._coming[pipe]
        image.end()
        if image.is_pages:
            self.size_bytes += image.size_bytes
        if image.warm is not None:
            self._warm.append((image.warm, image.path, image.size_bytes))


class _Image:
    """One image that is coming."""

    def __init__(self, path: Path, reserve: Reserve, owner: str) -> None:
        self.path = path
        self.is_pages = path.name.startswith("pages-")
        self.size_bytes = 0
        self.warm: Warm | None = None
        self._reserve = reserve
        self._owner = owner
        self._small = bytearray()
        self._file = -1

    def read(self, pipe: int) -> bool:
        """Takes what has come; False: it was all."""
        if self.warm is not None and self.size_bytes < self.warm.size_bytes:
            room = self.warm.memory[self.size_bytes : self.size_bytes + _PIPE_BYTES]
            taken_bytes = os.readv(pipe, [room])
            self.size_bytes += taken_bytes
            return taken_bytes > 0
        data = os.read(pipe, _PIPE_BYTES)
        if self.warm is not None:
            self._write(self.warm.descriptor, data)  # it grew since the reserve was filled
        elif self._file >= 0:
            self._write(self._file, data)
        else:
            self._small += data
            self.size_bytes += len(data)
            if len(self._small) > _SMALL_BYTES:
                self._begin_large(pipe)
        return bool(data)

    def end(self) -> None:
        """Everything has come."""
        if self.warm is None and self._file < 0:
            self._open()
        if self._file >= 0:
            os.close(self._file)

    def abandon(self) -> None:
        """The rest will not come."""
        if self.warm is not None:
            self.warm.give_back()
        if self._file >= 0:
            os.close(self._file)

    def _begin_large(self, pipe: int) -> None:
        with suppress(OSError):  # a user's pipes together have a limit; it is slower then
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.warm = self._reserve.take(self._owner) if self.is_pages else None
        if self.warm is None:
            self._open()
        elif self.warm.size_bytes >= len(self._small):
            self.warm.memory[: len(self._small)] = self._small
        else:
            os.pwrite(self.warm.descriptor, self._small, 0)

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
        self.size_bytes = 0
        self._write(self._file, bytes(self._small))

    def _write(self, file: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(file, rest, self.size_bytes)
            self.size_bytes += written
            rest = rest[written:]


def _request(connection: socket.socket) -> tuple[str, int] | None:
    """The name of the next image, and its pipe; None at the end, also when CRIU was killed."""
    try:
        head = connection.recv(_SIZE.size, socket.MSG_WAITALL)
        if len(head) < _SIZE.size:
            return None
        (size_bytes,) = _SIZE.unpack(head)
        encoded = connection.recv(size_bytes, socket.MSG_WAITALL)
        _, pipes, _, _ = socket.recv_fds(connection, 1, 1)
    except ConnectionResetError:
        return None
    if not pipes:
        return None
    return pb.StreamRequest.FromString(encoded).filename, pipes[0]


def _owner(name: str) -> str:
    """Whose pages come next, if this is a pagemap."""
    kind, _, rest = name.removesuffix(".img").partition("-")
    if kind != "pagemap":
        return ""
    return rest if rest.isdecimal() else SHARED
