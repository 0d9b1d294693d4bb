"""The backend of an attached app: a member of a group, cut by the node service.

Opens the region where the service says, lets the native thread of `mmsnap.memory` obey it,
and answers that thread's events from one Python thread. When the service is gone the program
runs on; this module looks for it until it is back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from mmsnap.errors import AgentUnavailableError, MmsnapError, NotFoundError, QuiesceTimeoutError
from mmsnap.memory import CheckpointRecord, MemberEvent, Membership, Region
from mmsnap.retention import Retention
from mmsnap_sdk import calls
from mmsnap_sdk.backend import CheckpointRequest, Listener, Outcome
from mmsnap_sdk.checkpoint import Checkpoint
from mmsnap_sdk.client import Client
from mmsnap_sdk.service_records import Admission, Application

logger = logging.getLogger("mmsnap")

# How long the thread may sleep in the core before it looks whether the app was closed.
_POLL_MS: Final = 100
_WELCOME_SECONDS: Final = 30.0
# From the service's answer to the end of this member's own hooks.
_FOLLOW_SECONDS: Final = 30.0
# First and longest pause between attempts to come back; they grow while coming back does not
# last, as for a member that can not do what the service asks of it first.
_RETRY_SECONDS: Final = (0.05, 1.0)
_LASTED_SECONDS: Final = 5.0


class GroupBackend:
    """A `Backend` over a region that belongs to a group.

    Raises, when made: AgentUnavailableError, InUseError (the member's name is a live process),
    and what opening the region raises.
    """

    def __init__(self, application: Application, address: str | None) -> None:
        self._application = application
        self._client = Client(address)
        try:
            self._admission = self._client.ask(calls.attach(application))
            self.region = _open(self._admission, application.size_bytes)
        except BaseException:
            self._client.close()
            raise
        self.region.generation = self._admission.restore_epoch
        self.group = application.group
        self.restored: Checkpoint | None = self._admission.head
        self._followed_restore_epoch = self._admission.restore_epoch
        self._membership: Membership | None = None
        self._expects_hooks = False
        self._welcome = threading.Event()
        self._closing = threading.Event()
        self._progress = threading.Condition()
        self._came_back = 0.0
        self._pause = _RETRY_SECONDS[0]
        self._last_after_epoch = 0
        self._restores_followed = 0
        self._thread = threading.Thread(
            target=self._answer_events, name=f"mmsnap {self.region.name}", daemon=True
        )

    def start(self, listener: Listener) -> None:
        self._listener = listener
        self._join(self._admission)
        self._thread.start()
        if not self._welcome.wait(_WELCOME_SECONDS):
            raise AgentUnavailableError(
                f"the node service did not welcome {self.region.name}", subject=self._client.address
            )

    def expect_hooks(self) -> None:
        self._expects_hooks = True
        if self._membership is not None:
            self._membership.hooks = True

    # ---- checkpoints ----

    def checkpoint(self, request: CheckpointRequest) -> Checkpoint:
        self._require_no_hook("checkpoint")
        was_partial = self.region.partial
        if request.accept_partial:
            self.region.partial = False
        call = calls.checkpoint(
            self._application.group,
            request.name,
            request.labels,
            request.wait,
            request.timeout_ns,
            request.max_pause_ns,
            automatic=request.name is None,
        )
        try:
            taken = self._client.take(call)
        except BaseException:
            self.region.partial = was_partial
            raise
        self._await(lambda: self._last_after_epoch >= taken.epoch, "after_checkpoint")
        return taken

    def restore(self, checkpoint: Checkpoint) -> None:
        self._require_no_hook("restore")
        before = self._restores_followed
        self._client.restore(self._application.group, f"@{checkpoint.epoch}")
        self._await(lambda: self._restores_followed > before, "after_restore")

    def head(self) -> Checkpoint | None:
        try:
            return self._client.find(self._application.group)
        except NotFoundError:
            return None
        except AgentUnavailableError:
            record = self.region.head
            return None if record is None else _shown(record)

    def find(self, name: str) -> Checkpoint:
        return self._client.find(self._application.group, name)

    def checkpoints(self) -> list[Checkpoint]:
        return list(self._client.checkpoints(self._application.group))

    def delete(self, checkpoint: Checkpoint) -> None:
        self._client.delete_checkpoint(self._application.group, f"@{checkpoint.epoch}")

    def pin(self, checkpoint: Checkpoint, pinned: bool) -> None:
        self._client.ask(calls.pin(self._application.group, f"@{checkpoint.epoch}", pinned))

    def prune(self, retention: Retention, *, dry_run: bool = False) -> list[Checkpoint]:
        gone = self._client.ask(calls.prune(self._application.group, retention, dry_run))
        return list(gone)

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()
        if self._membership is not None:
            self._membership.stop(leave=True)
        self.region.close()
        self._client.close()

    # ---- events, on the thread of their own ----

    def _answer_events(self) -> None:
        while not self._closing.is_set():
            membership = self._membership
            assert membership is not None
            event = membership.next_event(_POLL_MS)
            if event is None:
                continue
            try:
                self._answer(event, membership)
            except Exception as error:
                self._listener.background_failure(error)

    def _answer(self, event: MemberEvent, membership: Membership) -> None:
        match event.kind:
            case "welcome":
                self._welcome.set()
            case "before":
                self._run_before_hooks(event, membership)
            case "after":
                head = self.region.head if event.committed else None
                committed = _shown(head) if head and head.epoch == event.epoch else None
                self._listener.after_checkpoint(Outcome(event.committed, event.epoch, committed))
                self._note(last_after_epoch=event.epoch)
            case "restored":
                self._followed_restore_epoch = event.epoch
                record = self.region.head if event.target else None
                self._listener.after_restore(None if record is None else _shown(record))
                self._note(restores_followed=self._restores_followed + 1)
            case "lost":
                self._come_back(membership)

    def _run_before_hooks(self, event: MemberEvent, membership: Membership) -> None:
        try:
            hook_ns = self._listener.before_checkpoint(event.deadline_ns)
        except Exception as error:
            membership.ready(event.epoch, False, 0, f"{type(error).__name__}: {error}")
        else:
            membership.ready(event.epoch, True, hook_ns)

    def _come_back(self, lost: Membership) -> None:
        """Attach again, until it works or the app is closed; the program runs on meanwhile."""
        lost.stop(leave=False)
        logger.warning("region %s: lost the node service, looking for it", self.region.name)
        if time.monotonic() - self._came_back > _LASTED_SECONDS:
            self._pause = _RETRY_SECONDS[0]
        while not self._closing.wait(self._pause):
            self._pause = min(2 * self._pause, _RETRY_SECONDS[1])
            resuming = replace(
                self._application,
                followed_restore_epoch=self._followed_restore_epoch,
                incarnation=self._admission.incarnation,
            )
            try:
                admission = self._client.ask(calls.attach(resuming))
                self._require_same_region(admission)
                self._join(admission)
            except MmsnapError as error:
                logger.debug("region %s: not attached again: %s", self.region.name, error)
                continue
            self._came_back = time.monotonic()
            logger.info("region %s: attached again", self.region.name)
            return

    # ---- what several need ----

    def _join(self, admission: Admission) -> None:
        self._membership = self.region.join(
            admission.socket, admission.token, hooks=self._expects_hooks
        )

    def _require_same_region(self, admission: Admission) -> None:
        if (admission.pool, admission.region) != (self.region.pool, self.region.name):
            raise AgentUnavailableError(
                f"the node service serves the pool {admission.pool} now, not {self.region.pool}",
                subject=str(admission.pool),
            )

    def _note(self, *, last_after_epoch: int = 0, restores_followed: int = 0) -> None:
        with self._progress:
            self._last_after_epoch = max(self._last_after_epoch, last_after_epoch)
            self._restores_followed = max(self._restores_followed, restores_followed)
            self._progress.notify_all()

    def _await(self, condition: Callable[[], bool], hooks: str) -> None:
        with self._progress:
            if not self._progress.wait_for(condition, _FOLLOW_SECONDS):
                raise QuiesceTimeoutError(
                    f"the {hooks} hooks of {self.region.name} did not end in time",
                    subject=self.region.name,
                    hint="the group has it all the same; make the hooks shorter",
                )

    def _require_no_hook(self, verb: str) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError(f"{verb}() inside a hook would wait for itself")


def _open(admission: Admission, size_bytes: int | None) -> Region:
    """The member's region at the group's head, rid of what the catalog does not know."""
    committed = admission.committed_epochs
    region = Region.open(
        admission.pool,
        admission.region,
        size_bytes=size_bytes,
        head=Region.EMPTY_HEAD if admission.head is None else admission.head.epoch,
        decide=committed.__contains__,
    )
    try:
        for record in region.checkpoints():
            if record.epoch not in committed:
                if record.pinned:  # the catalog's mark was the one that counted
                    region.pin(record.epoch, False)
                region.delete(record.epoch)
    except BaseException:
        region.close()
        raise
    return region


def _shown(record: CheckpointRecord) -> Checkpoint:
    """This member's part of a checkpoint; the service knows the others'."""
    seconds, rest_ns = divmod(record.created_ns, 10**9)
    return Checkpoint(
        name=record.name,
        epoch=record.epoch,
        created=datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000),
        pause_ns=record.pause_ns,
        hook_ns=record.meta.get("hook_ns", 0),
        bytes_written=record.bytes_written,
        consistency=record.consistency,
        durability="durable" if record.durable else "captured",
        labels={},
        parent=record.parent,
        pinned=record.pinned,
        automatic=record.automatic,
    )
