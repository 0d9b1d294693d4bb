"""Bytes as they come, cut into frames: a header that tells the length of what follows.

Both protocols here, the multiplexer's and ttrpc, are of this kind. What a header says is theirs to
know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator


class ProtocolError(ConnectionError):
    """The peer sent what its protocol has no room for; the connection is of no more use."""


class Splitter:
    """Takes bytes in pieces of any size, gives every frame once it is complete."""

    def __init__(
        self, header_bytes: int, payload_bytes_of: Callable[[bytes], int], limit_bytes: int
    ) -> None:
        self._header_bytes = header_bytes
        self._payload_bytes_of = payload_bytes_of
        self._limit_bytes = limit_bytes
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every frame that `data` completes, as header and payload.

        Raises:
            ProtocolError: a header announces more than the limit. It is raised before that is
            awaited.
        """
        self._pending += data
        start = 0
        try:
            while len(self._pending) - start >= self._header_bytes:
                body = start + self._header_bytes
                header = bytes(self._pending[start:body])
                end = body + self._checked(self._payload_bytes_of(header))
                if len(self._pending) < end:
                    return
                start = end
                yield header, bytes(self._pending[body:end])
        finally:
            del self._pending[:start]

    def _checked(self, payload_bytes: int) -> int:
        if payload_bytes > self._limit_bytes:
            raise ProtocolError(
                f"a frame of {payload_bytes} bytes, where {self._limit_bytes} is the limit"
            )
        return payload_bytes
