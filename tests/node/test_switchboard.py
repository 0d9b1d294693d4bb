"""Who listens to a member's line, when one operation follows on the heels of another."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from mmsnap.group import CheckpointOperation, RestoreOperation
from mmsnap.group.messages import Failed, Held, Hello
from mmsnap.node.conductor import Audience, Conductor
from mmsnap.node.lines import Line
from mmsnap.node.peers import peer_of
from mmsnap.node.switchboard import Switchboard

EPOCH = 5
TOKEN = 7


class Nobody:
    """Whom the switchboard would tell of members: there are none."""

    def greeted(self, token: int, hello: Hello, pid: int) -> None: ...
    def ended(self, token: int, said_bye: bool, reason: str, epoch: int) -> None: ...
    def failed(self, token: int, report: Failed) -> None: ...
    def broke(self, error: Exception) -> None:
        raise error


def test_the_end_of_an_operation_takes_the_line_from_the_next_one(tmp_path: Path) -> None:
    """What its members said was heard by nobody: they stood still until the budget was over."""
    decided: list[str] = []
    begun = threading.Event()
    switchboard = Switchboard(tmp_path / "members.sock", Nobody())
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        line = Line(ours, peer_of(ours), 0, set())
        line.token = TOKEN
        # Without b it ends as it begins.
        ended = CheckpointOperation(EPOCH, ("a", "b"), name="one")
        following = RestoreOperation(EPOCH + 1, ("a",), target=3)
        audience = Audience(
            lambda: decided.append("asked"), lambda step: None, lambda finished: None
        )

        def begin_both() -> None:
            for operation in (ended, following):
                switchboard.conduct(Conductor(operation, {"a": line}, audience))
            begun.set()

        switchboard.start()
        switchboard.post(begin_both)
        assert begun.wait(5)
        time.sleep(0.05)  # what has ended is let go of when the turn is over
        switchboard.post(lambda: switchboard.hear_remote(TOKEN, Held(EPOCH + 1, 0)))
        deadline = time.monotonic() + 1
        while not decided and time.monotonic() < deadline:
            time.sleep(0.01)
        switchboard.stop()
    assert ended.finished is not None
    assert decided == ["asked"]
