"""Members of ours in another node's operation: passing on, and what to do if it goes silent.

Runs on the switchboard's thread. It decides nothing while the coordinator is there. When that is
gone, a member that had not sealed its part is told to abort, for without it nothing can have been
committed; one that had is in doubt, comes again, and is told what the catalog says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from mmsnap.group.messages import Abort, EpochReport, Sealed
from mmsnap.node.lines import Line
from mmsnap.node.logs import about
from mmsnap.node.packets import encode, heading, with_token

log = logging.getLogger(__name__)


class Relay:
    """One operation of another node."""

    def __init__(
        self,
        group: str,
        lines: Mapping[int, Line],
        report: Callable[[bytes], None],
        lost: Callable[[int], None],
    ) -> None:
        """`report` is given packets, `lost` tokens, on the switchboard's thread."""
        self._group = group
        self.lines = dict(lines)
        self.epoch = 0
        self._report = report
        self._lost = lost
        self._sealed: set[int] = set()
        self._ordered: set[int] = set()
        self._settled = False

    def pass_on(self, packet: bytes) -> None:
        """An order of the coordinator; PacketError."""
        epoch, token = heading(packet)
        line = self.lines.get(token)
        if line is not None:
            self.epoch = epoch
            self._ordered.add(token)
            line.send(packet)

    def hang_up(self, token: int, reason: str) -> None:
        """The coordinator expels a member."""
        line = self.lines.get(token)
        if line is not None:
            line.end(reason)

    def receive(self, token: int, report: EpochReport, packet: bytes) -> None:
        """A member reports; it speaks for nobody else, whatever token its packet has."""
        if isinstance(report, Sealed):
            self._sealed.add(token)
        self._report(with_token(packet, token))

    def lose(self, token: int) -> None:
        """A member is gone."""
        self.lines.pop(token, None)
        self._lost(token)

    def settle(self) -> None:
        """The coordinator has told everybody the outcome."""
        self._settled = True

    def abandon(self) -> None:
        """The link is over; if it is so in the middle, the coordinator is gone."""
        if self._settled or not self._ordered:
            return
        self._settled = True
        log.warning("its coordinator is gone", extra=about(self._group, self.epoch))
        for token in self._ordered:
            line = self.lines.get(token)
            if line is None:
                continue
            if token not in self._sealed:
                line.send(encode(Abort(self.epoch), token))
            line.end("the coordinator of an operation is gone")
