"""An unmodified program as a member: the orders of the service, carried out by the engine.

Everything here happens on the shim's own thread, except what the engine does, which is given to
`Work`. A member answers one order after the other; only a renewal, an abort, and the end of the
lease come in between.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import Enum
from typing import Final

from mmsnap.errors import MmsnapError, PauseExceededError, PoolFullError, QuiesceTimeoutError
from mmsnap.group import messages as m
from mmsnap.group.messages import Kind, Order, Report
from mmsnap.process.engine import Engine
from mmsnap.profiles import Profile
from mmsnap.shim.lease import Lease
from mmsnap.shim.work import Work

log = logging.getLogger(__name__)

# mm_status of native/include/mmsnap.h, positive.
_STATUSES: Final = ((PoolFullError, 5), (QuiesceTimeoutError, 7), (PauseExceededError, 8))
_STATUS_OTHER: Final = 1


class Phase(Enum):
    """What the member is in the middle of."""

    IDLE = "idle"
    HELD = "held"  # the program stands still, or will when the work under way is done
    RESTORING = "restoring"  # the old program is gone, the new one does not run yet
    SEALING = "sealing"  # the program runs, its part is being completed


class ProgramMember:
    """Call `obey` with every order; reports go to `report`."""

    def __init__(
        self,
        engine: Engine,
        profile: Profile,
        work: Work,
        report: Callable[[Report], None],
        fallen: Callable[[str], None],
    ) -> None:
        """`fallen` is told when a restore left no program behind."""
        self.lease = Lease()
        self.phase = Phase.IDLE
        self.in_doubt = 0  # the epoch that was sealed and not decided
        self.followed_restore_epoch: int | None = None  # the last restore here, if there was one
        self._engine = engine
        self._profile = profile
        self._work = work
        self._report = report
        self._fallen = fallen
        self._epoch = 0
        self._refused = 0  # every epoch up to this one was left by ourselves
        self._under_way = 0  # what the engine was given to do
        self._let_go_after = False  # and the program is to run on as soon as it is done
        self._prepared = False  # the profile's steps before a cut were taken
        self._forget()

    def obey(self, order: Order) -> None:
        """Carries out an order of the service."""
        match order:
            case m.Begin():
                self._begin(order)
            case m.Quiesce():
                self._quiesce(order)
            case m.Cut():
                self._cut(order)
            case m.Restore():
                self._restore(order)
            case m.Check():
                self._check(order)
            case m.Renew() if order.epoch == self._epoch and self.lease.left_seconds:
                self.lease.begin(order.lease_ns)
            case m.Resume():
                self._resume(order)
            case m.Commit():
                self._decided(order.epoch, committed=True)
            case m.Abort():
                self._abort(order.epoch)
            case _:
                return

    def let_time_pass(self) -> None:
        """To be called when the lease may have ended."""
        if self.lease.over:
            self.lease.end()
            log.warning("epoch %d: no word from the service, running on", self._epoch)
            self._run_on()
            self._report(m.Void(self._epoch))

    def abandoned(self) -> None:
        """The service is gone. A program that stands still waits for the lease; what was being
        restored has lost the others, and is no part of anything."""
        if self.phase is Phase.RESTORING:
            self._fallen("the service went away in the middle of the restore")

    # ---- a checkpoint ----

    def _begin(self, order: m.Begin) -> None:
        self._epoch = order.epoch
        self._forget()
        hook_ns = 0
        page_count = 0

        def prepare() -> None:
            nonlocal hook_ns, page_count
            page_count = self._engine.require_capturable(order.max_pause_ns)
            begun_ns = time.monotonic_ns()
            self._prepared = True
            self._profile.before_checkpoint(order.hook_budget_ns / 1e9)
            hook_ns = time.monotonic_ns() - begun_ns

        def ready() -> None:
            self._hook_ns = hook_ns
            self._report(m.Ready(order.epoch, page_count, hook_ns))

        self._do(prepare, ready, Kind.BEGIN)

    def _quiesce(self, order: m.Quiesce) -> None:
        if order.epoch <= self._refused:
            self._report(m.Void(order.epoch))
            return
        self._epoch = order.epoch
        self.phase = Phase.HELD
        self.lease.begin(order.lease_ns)

        def held() -> None:
            self._freeze_ns = time.monotonic_ns() - self._engine.held_since_ns
            self._report(m.Held(order.epoch, self._freeze_ns))

        timeout_seconds = order.update_timeout_ns / 1e9
        self._do(lambda: self._engine.hold(timeout_seconds), held, Kind.QUIESCE)

    def _cut(self, order: m.Cut) -> None:
        if not self._is_held(order.epoch):
            self._report(m.Void(order.epoch))
            return
        self.lease.begin(order.lease_ns)
        begun_ns = time.monotonic_ns()

        def captured() -> None:
            self._dump_ns = time.monotonic_ns() - begun_ns
            self._report(m.CutDone(order.epoch, 0, 0, self._dump_ns))

        self._do(lambda: self._engine.capture(order.epoch), captured, Kind.CUT)

    def _resume(self, order: m.Resume) -> None:
        if self.phase is Phase.RESTORING and order.epoch == self._epoch:
            self._resume_restored(order.epoch)
            return
        if not self._is_held(order.epoch):
            self._report(m.Void(order.epoch))
            return
        begun_ns = time.monotonic_ns()
        self.lease.end()
        self._engine.let_go()
        ended_ns = time.monotonic_ns()
        pause_ns, thaw_ns = ended_ns - self._engine.held_since_ns, ended_ns - begun_ns
        self.phase = Phase.SEALING
        stored = (0, 0)

        def seal() -> None:
            nonlocal stored
            stored = self._engine.seal(order.epoch)

        def sealed() -> None:
            self.phase = Phase.IDLE
            self.in_doubt = order.epoch
            self._report(
                m.Sealed(
                    order.epoch,
                    pause_ns=pause_ns,
                    pages=stored[0],
                    size_bytes=stored[1],
                    crash_only=not self._profile.is_application,
                    hook_ns=self._hook_ns,
                    freeze_ns=self._freeze_ns,
                    dump_ns=self._dump_ns,
                    thaw_ns=thaw_ns,
                )
            )

        self._do(seal, sealed, Kind.RESUME)

    def _decided(self, epoch: int, *, committed: bool) -> None:
        if self.in_doubt == epoch:
            self.in_doubt = 0

        def follow() -> None:
            if committed:
                self._engine.committed(epoch)
            else:
                self._engine.discard(epoch)
            self._undo_profile(committed)

        self._do(follow, lambda: None, Kind.COMMIT if committed else Kind.ABORT)

    def _abort(self, epoch: int) -> None:
        if epoch == self._epoch and self.phase is Phase.RESTORING:
            self._fallen("the restore was aborted")
            return
        if epoch == self._epoch and self.phase is Phase.HELD:
            self.lease.end()
            self._run_on()
        elif not self._engine.root_pid:
            self._fallen("the restore was aborted; the service's log says why")
            return
        self._refused = max(self._refused, epoch)
        self._decided(epoch, committed=False)

    # ---- a restore ----

    def _check(self, order: m.Check) -> None:
        def check() -> None:
            reasons = self._engine.reasons_against(order.target)
            if reasons:
                log.warning("@%d can not be restored: %s", order.target, "; ".join(reasons))
                raise MmsnapError("; ".join(reasons))

        done = m.Done(order.epoch, Kind.CHECK)
        self._epoch = order.epoch
        self._do(check, lambda: self._report(done), Kind.CHECK)

    def _restore(self, order: m.Restore) -> None:
        if not self._is_held(order.epoch):
            self._report(m.Void(order.epoch))
            return
        # From here on there is nothing to run on with.
        self.phase = Phase.RESTORING
        self.lease.end()
        done = m.Done(order.epoch, Kind.RESTORE)

        def restore() -> None:
            reset_count = self._engine.restore(order.target)
            if reset_count:
                log.info("%d connections to the outside were reset", reset_count)

        def failed(error: Exception) -> None:
            self._fail(error, Kind.RESTORE)
            self._fallen(str(error))

        self._do(restore, lambda: self._report(done), Kind.RESTORE, failed)

    def _resume_restored(self, epoch: int) -> None:
        self._engine.resume_restored()
        self.phase = Phase.IDLE
        self.followed_restore_epoch = epoch
        sealed = m.Sealed(epoch, 0, 0, 0, False, 0)
        self._do(self._profile.after_restore, lambda: self._report(sealed), Kind.RESUME)

    # ---- what several need ----

    def _forget(self) -> None:
        self._freeze_ns = self._dump_ns = self._hook_ns = 0

    def _is_held(self, epoch: int) -> bool:
        held = self.phase is Phase.HELD and not self._let_go_after
        return held and epoch == self._epoch and epoch > self._refused

    def _run_on(self) -> None:
        """Gives the cut up: at once, or when CRIU has let go, which is made to give up."""
        self._refused = max(self._refused, self._epoch)
        if self._under_way:
            self._let_go_after = True
            self._engine.make_fail()
        else:
            self._engine.let_go()
            self.phase = Phase.IDLE

    def _undo_profile(self, committed: bool) -> None:
        if self._prepared:
            self._prepared = False
            self._profile.after_checkpoint(committed)

    def _do(
        self,
        work: Callable[[], object],
        then: Callable[[], None],
        kind: Kind,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        epoch = self._epoch

        def finished(follow: Callable[[], None]) -> None:
            self._under_way -= 1
            if self._let_go_after:
                self._let_go_after = False
                self._engine.let_go()
                self.phase = Phase.IDLE
                self._engine.discard(epoch)
            else:
                follow()

        def fail(error: Exception) -> None:
            (failed or (lambda e: self._fail(e, kind)))(error)

        self._under_way += 1
        self._work.do(work, lambda: finished(then), lambda error: finished(lambda: fail(error)))

    def _fail(self, error: Exception, kind: Kind) -> None:
        """Tells the service; it aborts the operation, and says so to everybody."""
        log.warning("epoch %d: %s: %s", self._epoch, kind.name.lower(), error)
        status = next(
            (code for known, code in _STATUSES if isinstance(error, known)), _STATUS_OTHER
        )
        reason = error.message if isinstance(error, MmsnapError) else f"{error}"
        self._report(m.Failed(self._epoch, kind, status, reason))
