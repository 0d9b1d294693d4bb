"""The fear: a group that is busy on another node is taken for one that can not be checkpointed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from mmsnap.errors import AbortedError, BusyError, NotFoundError
from mmsnap.node.enlistment import Destination, Enlistment
from mmsnap.node.methods import abort
from mmsnap.rpc.v1 import peer_pb2 as pb
from mmsnap.rpc.v1 import peer_pb2_grpc


class _Refuses(peer_pb2_grpc.PeerServicer):
    def __init__(self, error: Any) -> None:
        self._error = error

    async def Enlist(  # noqa: N802
        self, requests: Any, context: Any
    ) -> AsyncIterator[pb.EnlistReply]:
        await anext(requests)
        await abort(context, self._error)
        yield pb.EnlistReply()


async def refusal(error: Exception) -> AbortedError:
    """What a coordinator is told that asks a node which answers with this."""
    server = grpc.aio.server()
    peer_pb2_grpc.add_PeerServicer_to_server(_Refuses(error), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    nothing: Any = None
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        to = Destination("n2", "127.0.0.1", channel, nothing)
        with pytest.raises(AbortedError) as told:
            await Enlistment(to, nothing).open("g", "n1")
    await server.stop(None)
    return told.value


def test_a_busy_node_is_told_as_busy() -> None:
    told = asyncio.run(refusal(BusyError("group g is busy with another operation")))
    assert isinstance(told, BusyError)
    assert "n2" in str(told)
    assert "busy" in str(told)


def test_what_else_keeps_it_away_is_not() -> None:
    for error in (AbortedError("member a is still attaching"), NotFoundError("no group g")):
        assert type(asyncio.run(refusal(error))) is AbortedError
