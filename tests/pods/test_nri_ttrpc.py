"""Calls and answers find each other, and a peer that misbehaves harms nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsnap.pods.nri import ttrpc
from mmsnap.pods.nri.framing import ProtocolError
from mmsnap.pods.nri.ttrpc import CallError, Client, Server
from mmsnap.pods.nri.ttrpc_pb2 import Request, Response


def repeat(service: str, method: str, payload: bytes) -> bytes:
    if method == "refuse":
        raise CallError(5, "as it was asked to")
    return f"{service}/{method}:".encode() + payload


class Replies(list[tuple[int, Response]]):
    """What a server sent, as stream and answer."""

    def take(self, data: bytes) -> None:
        for header, body in ttrpc.message_splitter().feed(data):
            stream, kind, flags = ttrpc.read_header(header)
            assert (kind, flags) == (ttrpc.RESPONSE, 0)
            self.append((stream, Response.FromString(body)))

    @property
    def codes(self) -> list[tuple[int, int]]:
        return [(stream, response.status.code) for stream, response in self]


def request(method: str = "do", payload: bytes = b"") -> bytes:
    return Request(service="s", method=method, payload=payload).SerializeToString()


def served(*messages: bytes, answer: Callable[[str, str, bytes], bytes] = repeat) -> Replies:
    replies = Replies()
    server = Server(replies.take, answer)
    for message in messages:
        server.receive(message)
    return replies


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(1, 50))
def test_every_call_gets_its_own_answer(payloads: list[bytes], piece_bytes: int) -> None:
    async def main() -> list[bytes]:
        back: list[bytes] = []
        server = Server(back.append, repeat)
        client = Client(server.receive)
        calls = [asyncio.create_task(client.call("s", "do", payload)) for payload in payloads]
        await asyncio.sleep(0)
        data = b"".join(reversed(back))
        for start in range(0, len(data), piece_bytes):
            client.receive(data[start : start + piece_bytes])
        return await asyncio.gather(*calls)

    assert asyncio.run(main()) == [b"s/do:" + payload for payload in payloads]


def test_a_status_becomes_an_error_of_that_call_alone() -> None:
    async def main() -> None:
        back: list[bytes] = []
        client = Client(Server(back.append, repeat).receive)
        bad = asyncio.create_task(client.call("s", "refuse", b""))
        good = asyncio.create_task(client.call("s", "do", b""))
        await asyncio.sleep(0)
        client.receive(b"".join(back))
        assert await good == b"s/do:"
        with pytest.raises(CallError, match="as it was asked to") as caught:
            await bad
        assert caught.value.code == 5

    asyncio.run(main())


def test_an_answer_that_comes_too_late_is_dropped() -> None:
    async def main() -> None:
        back: list[bytes] = []
        client = Client(Server(back.append, repeat).receive)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.call("s", "do", b"first"), 0.01)
        second = asyncio.create_task(client.call("s", "do", b"second"))
        await asyncio.sleep(0)
        client.receive(b"".join(back))
        assert await second == b"s/do:second"

    asyncio.run(main())


def test_an_answer_that_cannot_be_read_ends_the_connection() -> None:
    async def main() -> None:
        client = Client(lambda data: None)
        call = asyncio.create_task(client.call("s", "do", b""))
        await asyncio.sleep(0)
        with pytest.raises(ProtocolError, match="not an answer"):
            client.receive(ttrpc.message(1, ttrpc.RESPONSE, b"\xff\xff\xff"))
        call.cancel()

    asyncio.run(main())


def test_misused_streams_are_refused_and_the_next_call_is_served() -> None:
    replies = served(
        ttrpc.message(2, ttrpc.REQUEST, request()),
        ttrpc.message(5, ttrpc.REQUEST, request()),
        ttrpc.message(5, ttrpc.REQUEST, request()),
        ttrpc.message(3, ttrpc.REQUEST, request()),
        ttrpc.message(7, ttrpc.REQUEST, b"\xff\xff\xff"),
        ttrpc.message(9, ttrpc.REQUEST, request(), flags=2),
        ttrpc.message(11, 3, b"data"),
        ttrpc.message(13, ttrpc.REQUEST, request("refuse")),
        ttrpc.message(15, ttrpc.REQUEST, request(payload=b"x")),
    )
    assert replies.codes == [(2, 3), (5, 0), (5, 3), (3, 3), (7, 3), (9, 12), (13, 5), (15, 0)]
    assert replies[-1][1].payload == b"s/do:x"


def test_an_answer_that_is_too_long_becomes_a_status() -> None:
    message = ttrpc.message(1, ttrpc.REQUEST, request())
    replies = served(message, answer=lambda *_: bytes(ttrpc.MAX_DATA_BYTES))
    assert replies.codes == [(1, ttrpc.RESOURCE_EXHAUSTED)]
