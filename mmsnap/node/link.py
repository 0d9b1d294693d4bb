"""Between two nodes during an operation: frames in and out over TLS, never blocking.

It is read and written by the switchboard's own thread, so that between Quiesce and Resume no event
loop and no gRPC is in the way. What the frames mean is the business of whoever made it. A link that
breaks, for whatever reason, breaks for good: it is never made again within an operation.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from mmsnap.node.frames import Frame, FrameError, FrameStream, encode_frame
from mmsnap.node.packets import PacketError

# Thousands of packets; a group has some hundred members.
UNSENT_MAX_BYTES: Final = 1 << 20
# What a record of TLS holds at most: read so, nothing stays behind that no selector sees.
_RECORD_MAX_BYTES: Final = 1 << 14
# One that floods waits for its turn.
_RECORDS_AT_ONCE: Final = 4


class Link:
    """Of the switchboard's thread, but for making it."""

    def __init__(
        self,
        connection: ssl.SSLSocket,
        hear: Callable[[Frame], None],
        broke: Callable[[str], None],
    ) -> None:
        """`connection` is open, and has been proven to be who it should.

        Args:
            hear: what came; FrameError or PacketError: it was nonsense.
            broke: called once, with the reason, when nothing more is said or heard.
        """
        connection.setblocking(False)
        self._connection = connection
        self._hear = hear
        self._broke = broke
        self._stream = FrameStream()
        self._unsent = bytearray()
        self.broken = ""

    @property
    def is_waiting(self) -> bool:
        """Whether there is something that the other end has no room for yet."""
        return bool(self._unsent)

    def fileno(self) -> int:
        return self._connection.fileno()

    def send(self, frame: Frame) -> None:
        """Goes out with the next `flush`; who does not read for long breaks the link."""
        if self.broken:
            return
        self._unsent += encode_frame(frame)
        if len(self._unsent) > UNSENT_MAX_BYTES:
            self.end("does not read what it is told")

    def flush(self) -> None:
        """Gives the kernel what there is to say."""
        while self._unsent and not self.broken:
            try:
                sent = self._connection.send(self._unsent)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError as error:
                self.end(f"connection ended: {error.strerror}")
                return
            del self._unsent[:sent]

    def receive(self) -> None:
        """Hears what has come."""
        for _ in range(_RECORDS_AT_ONCE):
            if self.broken:
                return
            try:
                data = self._connection.recv(_RECORD_MAX_BYTES)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self.end(f"connection ended: {error.strerror}")
                return
            if not data:
                self.end("connection ended")
                return
            self._take(data)

    def end(self, reason: str) -> None:
        """Nothing more is said or heard; the first reason counts."""
        if not self.broken:
            self.broken = reason
            self._unsent.clear()

    def close(self) -> None:
        """Once it is broken and nobody looks at it any more."""
        self._connection.close()
        self._broke(self.broken)

    def _take(self, data: bytes) -> None:
        try:
            for frame in self._stream.feed(data):
                self._hear(frame)
                if self.broken:
                    return
        except (FrameError, PacketError) as error:
            self.end(f"sent nonsense: {error}")
