"""The backend of an app that stands alone: the region takes its own checkpoints.

Hooks run in the thread that asks. Checkpoints and restores of several threads take turns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from mmsnap.errors import QuiesceTimeoutError, UnsupportedError
from mmsnap.memory import CheckpointRecord, Region
from mmsnap.retention import Retention, prunable
from mmsnap_sdk.backend import DEFAULT_TIMEOUT_NS, CheckpointRequest, Listener, Outcome
from mmsnap_sdk.checkpoint import Checkpoint, Durability


class EmbeddedBackend:
    """A `Backend` over a region that belongs to no group."""

    group = None

    def __init__(self, region: Region) -> None:
        self.region = region
        self._last_shown: tuple[CheckpointRecord, Checkpoint] | None = None
        self.restored = self.head()
        self._listener: Listener | None = None
        self._turn = threading.Lock()

    def start(self, listener: Listener) -> None:
        self._listener = listener

    def expect_hooks(self) -> None:
        """Nothing to note: the listener is asked before every cut."""

    def checkpoint(self, request: CheckpointRequest) -> Checkpoint:
        self._require(request.wait)
        begun_ns = time.monotonic_ns()
        with self._own_turn(request.timeout_ns):
            try:
                record = self._cut(request, begun_ns + request.timeout_ns)
            except BaseException as error:
                self._heard.after_checkpoint(Outcome(False, 0, error=error))
                raise
            checkpoint = self._shown(record)
            self._heard.after_checkpoint(Outcome(True, record.epoch, checkpoint))
        return checkpoint

    def restore(self, checkpoint: Checkpoint) -> None:
        with self._own_turn(DEFAULT_TIMEOUT_NS):
            record = self.region.restore(checkpoint.epoch)
            self._heard.after_restore(self._shown(record))

    def head(self) -> Checkpoint | None:
        record = self.region.head
        return None if record is None else self._shown(record)

    def find(self, name: str) -> Checkpoint:
        return self._shown(self.region.find(name))

    def checkpoints(self) -> list[Checkpoint]:
        return [self._shown(record) for record in self.region.checkpoints()]

    def delete(self, checkpoint: Checkpoint) -> None:
        self.region.delete(checkpoint.epoch)

    def pin(self, checkpoint: Checkpoint, pinned: bool) -> None:
        self.region.pin(checkpoint.epoch, pinned)

    def prune(self, retention: Retention, *, dry_run: bool = False) -> list[Checkpoint]:
        head, now = self.head(), datetime.now(UTC)

        def age_ns(checkpoint: Checkpoint) -> int:
            return (now - checkpoint.created) // timedelta(microseconds=1) * 1000

        chosen = prunable(
            self.checkpoints(),
            retention,
            age_ns=age_ns,
            needed=() if head is None else (head.epoch,),
        )
        for checkpoint in () if dry_run else chosen:
            self.delete(checkpoint)
        return chosen

    def close(self) -> None:
        self.region.close()

    def _cut(self, request: CheckpointRequest, deadline_ns: int) -> CheckpointRecord:
        hook_ns = self._heard.before_checkpoint(deadline_ns - time.monotonic_ns())
        return self.region.checkpoint(
            request.name,
            automatic=request.name is None,
            meta={"labels": dict(request.labels), "hook_ns": hook_ns},
            durable=request.wait == "durable",
            accept_partial=request.accept_partial,
            quiesce_timeout_ns=max(1, deadline_ns - time.monotonic_ns()),
            max_pause_ns=request.max_pause_ns,
        )

    @property
    def _heard(self) -> Listener:
        assert self._listener is not None
        return self._listener

    @contextmanager
    def _own_turn(self, timeout_ns: int) -> Iterator[None]:
        if not self._turn.acquire(timeout=timeout_ns / 1e9):
            raise QuiesceTimeoutError(
                f"another checkpoint or restore of region {self.region.name!r} did not end in time",
                subject=self.region.name,
                hint="a hook must not take checkpoints itself",
            )
        try:
            yield
        finally:
            self._turn.release()

    def _require(self, durability: Durability) -> None:
        if durability == "replicated":
            raise UnsupportedError(
                "an embedded pool has no replicas",
                subject=self.region.name,
                hint="ask for wait='durable'",
            )
        if durability == "durable" and self.region.medium == "dram":
            raise UnsupportedError(
                f"the pool {self.region.pool} is in memory and does not survive a restart",
                subject=str(self.region.pool),
                hint="keep the pool on a disk's file system, or ask for wait='captured'",
            )

    def _promote(self, epoch: int, durability: Durability, timeout_ns: int | None) -> None:
        self._require(durability)
        if timeout_ns is None:
            self.region.flush(epoch)
            return
        flusher = ThreadPoolExecutor(1, thread_name_prefix="mmsnap-flush")
        try:
            flusher.submit(self.region.flush, epoch).result(timeout_ns / 1e9)
        except TimeoutError:
            raise TimeoutError(f"checkpoint @{epoch} is not durable yet") from None
        finally:
            flusher.shutdown(wait=False)

    def _shown(self, record: CheckpointRecord) -> Checkpoint:
        # The engine gives the same record for the same checkpoint; a restore asks for it thrice.
        shown = self._last_shown
        if shown is None or shown[0] is not record:
            shown = self._last_shown = (record, self._made_of(record))
        return shown[1]

    def _made_of(self, record: CheckpointRecord) -> Checkpoint:
        seconds, rest_ns = divmod(record.created_ns, 10**9)
        created = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
        return Checkpoint(
            name=record.name,
            epoch=record.epoch,
            created=created,
            pause_ns=record.pause_ns,
            hook_ns=record.meta.get("hook_ns", 0),
            bytes_written=record.bytes_written,
            consistency=record.consistency,
            durability="durable" if record.durable else "captured",
            labels=record.meta.get("labels", {}),
            parent=record.parent,
            pinned=record.pinned,
            automatic=record.automatic,
            _promote=self._promote,
        )
