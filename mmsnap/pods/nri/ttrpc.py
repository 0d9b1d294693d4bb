"""ttrpc: calls with one request and one answer, over a connection that somebody else keeps.

A client's call waits for its answer; a server answers while it receives, so that no request ever
waits for another. Streaming calls are refused: NRI has none.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Final

from google.protobuf.message import DecodeError

from mmsnap.pods.nri.framing import ProtocolError, Splitter
from mmsnap.pods.nri.ttrpc_pb2 import Request, Response, Status

MAX_DATA_BYTES: Final = 4 << 20

REQUEST: Final = 1
RESPONSE: Final = 2

INVALID_ARGUMENT: Final = 3
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12

_HEADER: Final = struct.Struct(">IIBB")  # length, stream, type, flags
_STREAMING: Final = 0x01 | 0x02  # more data follows, or followed already

Send = Callable[[bytes], None]
Answer = Callable[[str, str, bytes], bytes]


class CallError(Exception):
    """A call that ended in a status instead of an answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} (code {code})")
        self.code = code
        self.message = message


def message(stream: int, kind: int, data: bytes, flags: int = 0) -> bytes:
    """One message, header first."""
    return _HEADER.pack(len(data), stream, kind, flags) + data


def message_splitter() -> Splitter:
    """Cuts a connection's bytes into messages; `read_header` reads their headers."""
    return Splitter(_HEADER.size, lambda header: _HEADER.unpack(header)[0], MAX_DATA_BYTES)


def read_header(header: bytes) -> tuple[int, int, int]:
    """Stream, type and flags of a message."""
    _, stream, kind, flags = _HEADER.unpack(header)
    return stream, kind, flags


class Server:
    """Answers the peer's calls."""

    def __init__(self, send: Send, answer: Answer) -> None:
        """
        Args:
            answer: gets service, method and payload, and gives the answer's payload or raises
                CallError. It must not wait: everything that comes over this socket waits for it.
        """
        self._send = send
        self._answer = answer
        self._splitter = message_splitter()
        self._last_stream = 0

    def receive(self, data: bytes) -> None:
        """Takes what came, and answers every request that is complete."""
        for header, body in self._splitter.feed(data):
            stream, kind, flags = read_header(header)
            if kind == REQUEST:
                self._reply(stream, flags, body)

    def _reply(self, stream: int, flags: int, body: bytes) -> None:
        response = Response()
        try:
            response.payload = self._answered(stream, flags, body)
            if response.ByteSize() > MAX_DATA_BYTES:
                raise CallError(RESOURCE_EXHAUSTED, f"the answer is over {MAX_DATA_BYTES} bytes")
        except CallError as error:
            response = Response(status=Status(code=error.code, message=error.message))
        self._send(message(stream, RESPONSE, response.SerializeToString()))

    def _answered(self, stream: int, flags: int, body: bytes) -> bytes:
        if stream % 2 != 1 or stream <= self._last_stream:
            raise CallError(INVALID_ARGUMENT, f"stream {stream} is not odd and new")
        self._last_stream = stream
        if flags & _STREAMING:
            raise CallError(UNIMPLEMENTED, "streaming calls are not served")
        try:
            request = Request.FromString(body)
        except DecodeError as error:
            raise CallError(INVALID_ARGUMENT, f"not a request: {error}") from None
        return self._answer(request.service, request.method, request.payload)


class Client:
    """Calls the peer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._splitter = message_splitter()
        self._next_stream = 1
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    async def call(self, service: str, method: str, payload: bytes) -> bytes:
        """The answer's payload. Waits for it as long as the caller does.

        Raises:
            CallError: the peer answered with a status.
        """
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[stream] = answer
        request = Request(service=service, method=method, payload=payload)
        self._send(message(stream, REQUEST, request.SerializeToString()))
        try:
            return await answer
        finally:
            del self._waiting[stream]

    def receive(self, data: bytes) -> None:
        """Takes what came, and gives every answer to the call that waits for it.

        Raises:
            ProtocolError: an answer that cannot be read.
        """
        for header, body in self._splitter.feed(data):
            stream, kind, _ = read_header(header)
            waiting = self._waiting.get(stream)
            if kind != RESPONSE or waiting is None or waiting.done():
                continue
            try:
                response = Response.FromString(body)
            except DecodeError as error:
                raise ProtocolError(f"not an answer: {error}") from None
            if response.status.code:
                waiting.set_exception(CallError(response.status.code, response.status.message))
            else:
                waiting.set_result(response.payload)
