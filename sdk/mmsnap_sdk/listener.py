"""What happens in an app around each cut and restore, whoever ordered it.

The backend calls these methods; here is decided in which order an app's own bookkeeping and the
program's hooks follow. Nothing here takes a checkpoint.
"""

from __future__ import annotations

from mmsnap_sdk.arrays import Arrays
from mmsnap_sdk.backend import Outcome
from mmsnap_sdk.checkpoint import Checkpoint
from mmsnap_sdk.failures import Failures, logger
from mmsnap_sdk.hooks import Hooks
from mmsnap_sdk.lineage import Lineage
from mmsnap_sdk.store import Store


class AppListener:
    """The `Listener` of an app."""

    def __init__(
        self, store: Store, arrays: Arrays, hooks: Hooks, lineage: Lineage, failures: Failures
    ) -> None:
        self._store = store
        self._arrays = arrays
        self._hooks = hooks
        self._lineage = lineage
        self._failures = failures

    def opened(self) -> None:
        """The application begins with what the head shows."""
        if self._store.region.partial:
            logger.warning(
                "region %s begins where an exception had left an update half done: automatic "
                "checkpoints wait, explicit ones are only crash consistent, until restore() to an "
                "older one or checkpoint(accept_partial=True)",
                self._store.region.name,
            )

    def before_checkpoint(self, budget_ns: int) -> int:
        hook_ns = self._hooks.run_before(budget_ns)
        self._lineage.cut_begins()
        return hook_ns

    def after_checkpoint(self, outcome: Outcome) -> None:
        self._lineage.cut_ended(outcome.epoch if outcome.committed else None)
        for failure in self._hooks.run_after(outcome):
            self._failures.record("an after_checkpoint hook", failure)

    def after_restore(self, checkpoint: Checkpoint | None) -> None:
        try:
            self._store.current()
        except Exception as error:
            self._failures.record("reading what was restored", error)
        for name in self._arrays.orphans():
            logger.warning(
                "region %s: array %r is still in use, but the restore of the group took it away or "
                "changed its shape: what is written to its old views is lost",
                self._store.region.name,
                name,
            )
        self._lineage.restored(checkpoint)
        for failure in self._hooks.run_restored(checkpoint):
            self._failures.record("an after_restore hook", failure)

    def background_failure(self, error: Exception) -> None:
        self._failures.record("work in the background", error)

    def update_escaped(self, error: BaseException) -> None:
        """An exception left an update half done."""
        logger.warning(
            "region %s: %s escaped an update: automatic checkpoints stop, explicit ones are only "
            "crash consistent, until restore() or checkpoint(accept_partial=True)",
            self._store.region.name,
            type(error).__name__,
        )
