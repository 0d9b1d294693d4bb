"""An operation whose members are gone before it begins ends as one that loses them later."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from mmsnap.group import Cause, CheckpointOperation, Finished, Operation, RestoreOperation
from mmsnap.group.messages import Abort
from mmsnap.node.conductor import Audience, Conductor
from mmsnap.node.lines import Line
from mmsnap.node.packets import SIZE_BYTES, encode
from mmsnap.node.peers import peer_of

EPOCH = 5
MEMBERS = ("a", "b", "c")
OPERATIONS: dict[str, Callable[[], Operation]] = {
    "checkpoint": lambda: CheckpointOperation(EPOCH, MEMBERS, name="one"),
    "restore": lambda: RestoreOperation(EPOCH, MEMBERS, target=3),
}


@pytest.mark.parametrize("kind", OPERATIONS)
def test_several_members_gone_before_it_begins(kind: str) -> None:
    finished: list[Finished] = []
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        line = Line(ours, peer_of(ours), 0, set())
        audience = Audience(lambda: None, lambda step: None, finished.append)
        Conductor(OPERATIONS[kind](), {"c": line}, audience).start(0)
        theirs.setblocking(False)
        assert theirs.recv(SIZE_BYTES) == encode(Abort(EPOCH), line.token)
        with pytest.raises(BlockingIOError):
            theirs.recv(SIZE_BYTES)
    (end,) = finished
    assert not end.committed
    assert end.failure is not None
    assert end.failure.cause is Cause.LOST
