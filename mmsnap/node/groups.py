"""All groups of a service, and the word between them and the switchboard's thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from mmsnap.catalog import EngineKind, NoMajorityError
from mmsnap.errors import MmsnapError, UnsupportedError
from mmsnap.group.messages import Failed, Hello, Kind
from mmsnap.node.admission import Admission, Application, attach, greet
from mmsnap.node.desk import Desk, Restored
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.losses import seat_ended
from mmsnap.node.replies import STATE_NAMES, member_state
from mmsnap.node.seats import Seat
from mmsnap.node.without_etcd import attach_without_etcd, restore_without_etcd
from mmsnap.store import region_name

log = logging.getLogger(__name__)

GROUPS_MAX: Final = 256


class Groups:
    """The groups by name, and whose token is whose. Of one event loop."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._groups: dict[str, LiveGroup] = {}
        self._tokens: dict[int, tuple[LiveGroup, Seat]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def group(self, name: str) -> LiveGroup:
        """The group of this name, which the catalog may not know yet."""
        group = self._groups.get(name)
        if group is None:
            if len(self._groups) >= GROUPS_MAX:
                raise UnsupportedError(f"a service has at most {GROUPS_MAX} groups", subject=name)
            group = self._groups[name] = LiveGroup(name, self.desk)
        return group

    async def attach(self, name: str, application: Application) -> Admission:
        """Give a process its seat in a group."""
        group = self.group(name)
        try:
            admission = await attach(group, application)
        except NoMajorityError as silence:
            admission = await attach_without_etcd(group, application, silence)
        self._forget_who_never_came()
        self._tokens[admission.seat.token] = (group, admission.seat)
        return admission

    async def restore(self, name: str, checkpoint: str) -> Restored:
        """Bring a group back to a checkpoint; NotFoundError when there is no such group."""
        try:
            await self.desk.ledger.ask(self.desk.ledger.catalog.group, name)
            return await self.group(name).restore(checkpoint)
        except NoMajorityError as silence:
            # It was raised before anything was begun: an operation tells its failures otherwise.
            return await restore_without_etcd(self.group(name), checkpoint, silence)

    def seats(self) -> list[tuple[str, Seat]]:
        """Everybody in a seat, with the name of its group."""
        return [(g.name, seat) for g in self._groups.values() for seat in g.seats.seated()]

    def pids(self) -> dict[str, int]:
        """The processes that are attached, by the name of their region."""
        return {region_name(group, seat.name): seat.pid for group, seat in self.seats()}

    async def states(self) -> dict[str, int]:
        """How many members of this node are in which state, as `ps` names them."""
        ledger, mesh = self.desk.ledger, self.desk.mesh
        here = "" if mesh is None else mesh.name
        counts = dict.fromkeys(STATE_NAMES.values(), 0)
        for row in await ledger.ask(ledger.catalog.members, None):
            if row.node == here:
                state = member_state(row, self.group(row.group).seats.get(row.name))
                counts[STATE_NAMES[state]] += 1
        return counts

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something to its end, whoever stops waiting for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self) -> None:
        """Wait for what is under way; every operation ends by its own budgets."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    # ---- told by the switchboard, on the event loop ----

    def greeted(self, token: int, hello: Hello, pid: int) -> None:
        entry = self._tokens.get(token)
        if entry is None:
            self.desk.switchboard.hang_up(token, "its token is not known")
            return
        self.run(self._greet(*entry, hello, pid))

    def ended(self, token: int, said_bye: bool, reason: str, epoch: int) -> None:
        entry = self._tokens.pop(token, None)
        if entry is None:
            return
        group, seat = entry
        log.info("%s", reason, extra=group.about(epoch=epoch, member=seat.name))
        if group.seats.leave(seat):
            self.run(seat_ended(group, seat, said_bye, epoch))

    def failed(self, token: int, report: Failed) -> None:
        entry = self._tokens.get(token)
        if entry is not None:
            group, seat = entry
            about = group.about(
                epoch=report.epoch, member=seat.name, phase=Kind(report.order).name.lower()
            )
            log.warning("failed: %s", report.reason, extra=about)
            if report.order == Kind.COMMIT:
                # It stays in doubt until it says Hello again and is told once more.
                self.desk.switchboard.hang_up(token, "could not commit")

    async def _greet(self, group: LiveGroup, seat: Seat, hello: Hello, pid: int) -> None:
        try:
            await greet(group, seat, hello, pid)
            if seat.member.engine is EngineKind.PROCESS:
                self.run(self._restore_pending(group))
        except Exception:
            # Left half way in, it would keep everybody else's turn from coming.
            log.exception("was not welcomed", extra=group.about(member=seat.name))
            self.desk.switchboard.hang_up(seat.token, "was not welcomed")

    async def _restore_pending(self, group: LiveGroup) -> None:
        try:
            await group.restore_pending()
        except MmsnapError as error:
            log.warning("what was pending: %s", error, extra=group.about())

    def _forget_who_never_came(self) -> None:
        for token, (group, seat) in tuple(self._tokens.items()):
            if seat.gone:
                group.seats.leave(seat)
                del self._tokens[token]

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.debug("a task of the service ended with %r", task.exception())
