"""This node's members, while an operation of another node has them.

For as long as its link stands they obey it. A link that ends before the coordinator said that it is
over ends the loan, and leaves the epoch in doubt (see relay.py).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from typing import Final

from mmsnap.node.frames import Frame, FrameError, HangUp, Lost, Over, Ping, Pong
from mmsnap.node.link import Link
from mmsnap.node.logs import about
from mmsnap.node.relay import Relay
from mmsnap.node.switchboard import Switchboard

log = logging.getLogger(__name__)

_OVER: Final = "it is over"


class LentMembers:
    """Of one event loop, which waits; all else is done on the switchboard's thread."""

    def __init__(
        self,
        group: str,
        tokens: Sequence[int],
        switchboard: Switchboard,
        connection: ssl.SSLSocket,
    ) -> None:
        self._group = group
        self._tokens = tokens
        self._switchboard = switchboard
        self._link = Link(connection, self._hear, self._broke)
        self._relay: Relay | None = None
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()

    @property
    def epoch(self) -> int:
        """Of the last order; 0: there was none."""
        return 0 if self._relay is None else self._relay.epoch

    async def given_back(self) -> None:
        """Lends them until the link has ended, or nobody waits any more."""
        self._switchboard.post(self._begin)
        try:
            await self._over
        finally:
            self._switchboard.post(self._end)

    def _begin(self) -> None:
        found = ((token, self._switchboard.line(token)) for token in self._tokens)
        self._relay = Relay(
            self._group,
            {token: line for token, line in found if line is not None},
            self._link.send,
            lambda token: self._link.send(Lost(token)),
        )
        for token in self._tokens:
            if token not in self._relay.lines:
                self._link.send(Lost(token))
        self._switchboard.relay(self._relay)
        self._switchboard.join(self._link)

    def _hear(self, frame: Frame) -> None:
        assert self._relay is not None
        match frame:
            case bytes():
                self._relay.pass_on(frame)
            case HangUp(token, reason):
                self._relay.hang_up(token, reason)
            case Ping():
                self._link.send(Pong())
            case Over():
                self._relay.settle()
                self._link.end(_OVER)
            case _:
                raise FrameError(f"{type(frame).__name__} is not for a coordinator to say")

    def _broke(self, reason: str) -> None:
        assert self._relay is not None
        if reason != _OVER:
            where = about(self._group, self.epoch)
            log.warning("an operation of another node broke off: %s", reason, extra=where)
        # Whoever was in the middle of something is let go at once.
        self._switchboard.end_relay(self._relay)
        self._loop.call_soon_threadsafe(self._tell)

    def _end(self) -> None:
        assert self._relay is not None
        self._link.end("nobody waits for it any more")
        self._switchboard.end_relay(self._relay)

    def _tell(self) -> None:
        if not self._over.done():
            self._over.set_result(None)
