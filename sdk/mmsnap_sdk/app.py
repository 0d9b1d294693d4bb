"""The application's handle on its memory: what `mmsnap.open` and `mmsnap.attach` give.

`App` puts the parts together and holds the meaning of the public verbs. It is the same over an
embedded region and over a group; what differs is the backend's business.
"""

from __future__ import annotations

import atexit
import warnings
import weakref
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from types import TracebackType
from typing import Any, Final

from numpy.typing import DTypeLike, NDArray

from mmsnap.memory import Region
from mmsnap.retention import Retention
from mmsnap_sdk.arrays import Arrays, Shape
from mmsnap_sdk.backend import Backend, CheckpointRequest
from mmsnap_sdk.checkpoint import Checkpoint, Durability
from mmsnap_sdk.codec import Codec
from mmsnap_sdk.failures import Failures
from mmsnap_sdk.hooks import CallT, Hooks
from mmsnap_sdk.lifetime import Lifetime
from mmsnap_sdk.lineage import Lineage, require_restorable
from mmsnap_sdk.listener import AppListener
from mmsnap_sdk.request import checkpoint_request, retention
from mmsnap_sdk.schedule import Schedule
from mmsnap_sdk.schema import Migration, bring_to_schema
from mmsnap_sdk.state import State
from mmsnap_sdk.store import Store


class App:
    """Named memory of one application, with checkpoints of it.

    Made by `mmsnap.open` or `mmsnap.attach`, used as a context manager: a normal exit takes a
    final checkpoint (an attached app only detaches), an exception takes none and logs what was
    dropped. All methods may be called from any thread; checkpoint, restore and close raise
    RuntimeError inside an update of the calling thread, and everything raises ForkedError in a
    forked child.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        every_ns: int | None = None,
        keep_last: int | None = None,
        schema: int = 0,
        migrate: Migration | None = None,
        allow_pickle: bool = False,
    ) -> None:
        """Takes over `backend`, and closes it if anything fails. Arguments as of `open`."""
        self._backend = backend
        self._region = backend.region
        self._retention = None if keep_last is None else Retention(keep_last=keep_last)
        self._update: AbstractContextManager[Any] = self._region.guard
        self._failures = Failures(f"region {self._region.name}")
        self._hooks = Hooks()
        self._store = Store(self._region)
        self._arrays = Arrays(self._store)
        self._state = State(self._store, Codec(allow_pickle=allow_pickle))
        self._schedule = Schedule(self._region.name, self._checkpoint_by_itself)
        try:
            self._store.open()
            self._lineage = Lineage(self._arrays, backend.restored)
            listener = AppListener(
                self._store, self._arrays, self._hooks, self._lineage, self._failures
            )
            self._region.guard.on_escape = listener.update_escaped
            listener.opened()
            backend.start(listener)
            bring_to_schema(self, self._store, schema, migrate)
        except BaseException:
            backend.close()
            raise
        self._lifetime = Lifetime(self._store, self._arrays)
        _apps.add(self)
        if every_ns is not None:
            self._schedule.start(every_ns)

    # ---- what it is ----------------------------------------------------------------------

    @property
    def region(self) -> Region:
        """The memory engine's region, for its figures: `app.region.usage()`."""
        return self._region

    @property
    def generation(self) -> int:
        """Which restore of its group the memory followed last; 0: none, or it is embedded.

        Put it into messages between members, read inside the update that makes them: what carries
        another generation than the receiver's own is of a time that never was, or that the
        receiver has yet to follow, and has to be dropped.
        """
        return self._backend.region.generation

    @property
    def restored(self) -> Checkpoint | None:
        """The checkpoint that the memory showed when the app was opened; None: it is new."""
        return self._backend.restored

    @property
    def last_error(self) -> Exception | None:
        """The newest failure of something nobody waited for, like an automatic checkpoint.

        It was logged to the logger "mmsnap", and is raised once by the next checkpoint or close.
        """
        return self._failures.last_error

    def __repr__(self) -> str:
        return f"<mmsnap.App {self._region.name!r} of {str(self._region.pool)!r}>"

    # ---- memory --------------------------------------------------------------------------

    def array(
        self, name: str, shape: Shape | None = None, dtype: DTypeLike | None = None
    ) -> NDArray[Any]:
        """The array of that name, as a view of the region: made of zeros if there is none.

        Args:
            name: any string.
            shape: an int or a sequence of ints, needed to create it; else it must be as stored.
            dtype: any type without references; float64 when creating, else as stored.

        Returns:
            A writable, C-contiguous array whose elements are the region's bytes: every
            checkpoint has them and `restore` changes them in place. In mode "r" it is read-only.

        Raises:
            SchemaMismatchError: it is stored with another shape or type.
            NotFoundError: there is none, and no shape to create it with, or mode "r".
            PoolFullError: there is no room for it.
            TypeError: elements of that type are not plain bytes.
        """
        return self._arrays.get_or_create(name, shape, dtype)

    @property
    def arrays(self) -> Arrays:
        """All arrays by name, as a mapping that can also `del`."""
        return self._arrays

    def resize(self, name: str, shape: Shape) -> NDArray[Any]:
        """Grows the first axis of an array; returns a new view, what is new in it is zeros.

        Views taken before keep showing their part only as long as the array did not have to
        move, so take the new one everywhere.

        Raises:
            ValueError: another axis differs, or the first would shrink.
            NotFoundError: there is no such array.
            PoolFullError: there is no room for it.
        """
        return self._arrays.resize(name, shape)

    @property
    def state(self) -> State:
        """Small values by name, serialised when assigned; see `State`."""
        return self._state

    def update(self) -> AbstractContextManager[Any]:
        """A guard: no checkpoint falls between entering and leaving it.

        `with app.update():` costs some tens of nanoseconds, may be nested, and may be held by
        many threads at once. It undoes nothing: after an exception that escapes it, automatic
        checkpoints stop and explicit ones are only crash consistent, until `restore()` or
        `checkpoint(accept_partial=True)`.

        Raises:
            RuntimeError: on entering, when another asyncio task of this thread holds one.
        """
        return self._update

    # ---- checkpoints ---------------------------------------------------------------------

    def checkpoint(
        self,
        name: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        wait: Durability = "captured",
        timeout: timedelta | str | None = None,
        max_pause: timedelta | str | None = None,
        accept_partial: bool = False,
    ) -> Checkpoint:
        """Takes a checkpoint of the region, or of the whole group of an attached app.

        Args:
            name: a DNS label, unique; a named checkpoint stays until it is deleted. By default
                one is made from time and epoch, and `prune` may delete it.
            labels: small strings to keep with it.
            wait: "captured" survives this process, "durable" a restart of the machine,
                "replicated" its loss.
            timeout: for hooks and for updates that are open, before the pause; by default 10 s.
            max_pause: abort it when the application would stand still longer.
            accept_partial: an update that an exception left half done counts as done.

        Raises:
            QuiesceTimeoutError: a hook or an open update did not end in time.
            PauseExceededError: `max_pause` did not suffice; nothing was taken.
            PoolFullError: the pool has no room; found before the pause.
            UnsupportedError: the pool's medium can not keep what `wait` asks for.
            AbortedError: another member of the group could not; all run on.
            ValueError: the name or the labels are not as they should be.
            Exception: what a `before_checkpoint` hook raised, or a failure in the background
                that was not told before (then no checkpoint is taken; call again).
        """
        request = checkpoint_request(name, labels, wait, timeout, max_pause, accept_partial)
        self._require_outside("checkpoint")
        self._store.require_writable()
        self._failures.raise_pending()
        taken = self._backend.checkpoint(request)
        self._retain()
        return taken

    def restore(self, name: str = "latest") -> Checkpoint:
        """Puts the memory, or that of the whole group, back to a checkpoint, in place.

        Views show the restored bytes at the same addresses. The checkpoint is the head from
        then on, also after a crash; newer ones stay until they are deleted.

        Args:
            name: a checkpoint's name, "latest" (the head) or "@EPOCH".

        Raises:
            NotFoundError: there is no such checkpoint.
            BufferError: it would drop or reshape an array that a view refers to; nothing was
                restored.
            AbortedError: the group could not; all members run on.
        """
        self._require_outside("restore")
        self._store.require_writable()
        target = self._backend.find(name)
        require_restorable(self._arrays, self._lineage, self._region, target)
        self._backend.restore(target)
        return target

    def checkpoints(self) -> list[Checkpoint]:
        """All checkpoints, ascending by epoch."""
        self._store.require_open()
        return self._backend.checkpoints()

    def delete_checkpoint(self, name: str) -> None:
        """Deletes a checkpoint, but never the head.

        Raises:
            NotFoundError: there is no such checkpoint.
            MmsnapError: it is the head.
        """
        self._store.require_open()
        self._backend.delete(self._backend.find(name))

    def pin(self, name: str) -> None:
        """Keeps a checkpoint from `prune`."""
        self._store.require_open()
        self._backend.pin(self._backend.find(name), True)

    def unpin(self, name: str) -> None:
        """No longer keeps a checkpoint from `prune`."""
        self._store.require_open()
        self._backend.pin(self._backend.find(name), False)

    def prune(
        self,
        *,
        keep_last: int | None = None,
        keep_within: timedelta | str | None = None,
        dry_run: bool = False,
    ) -> list[Checkpoint]:
        """Deletes automatic checkpoints that no rule keeps; returns them.

        Named and pinned ones and the head always stay.

        Args:
            keep_last: keeps so many of the newest automatic ones.
            keep_within: keeps what is younger, like "7d".
            dry_run: deletes nothing, only tells.

        Raises:
            ValueError: neither rule was given.
        """
        policy = retention(keep_last, keep_within)
        self._store.require_open()
        return self._backend.prune(policy, dry_run=dry_run)

    # ---- hooks ---------------------------------------------------------------------------

    def before_checkpoint(self, hook: CallT) -> CallT:
        """Runs `hook()` before each checkpoint, before the pause; the last registered is first.

        If it raises, or takes longer than the checkpoint's timeout, there is no checkpoint. A
        coroutine function runs on the event loop on which it was registered. Usable as a
        decorator.
        """
        added = self._hooks.add_before(hook)
        self._backend.expect_hooks()
        return added

    def after_checkpoint(self, hook: CallT) -> CallT:
        """Runs `hook(outcome)` after each commit or abort; see `Outcome`.

        What it raises counts as a background failure. Usable as a decorator.
        """
        return self._hooks.add_after(hook)

    def after_restore(self, hook: CallT) -> CallT:
        """Runs `hook(checkpoint)` after each restore in place, also one that others ordered.

        `checkpoint` is None when a group went back to its beginning. What the hook raises counts
        as a background failure. Usable as a decorator.
        """
        return self._hooks.add_restored(hook)

    # ---- the end -------------------------------------------------------------------------

    def close(self, checkpoint: bool | None = None) -> None:
        """Ends it: automatic checkpoints, the membership, the lock on the region.

        Views stay usable, but what is written to them is not kept, and pages never written may
        change when the region's next owner applies its checkpoints. A second call
        does nothing.

        Args:
            checkpoint: whether to take a final checkpoint; by default an embedded app does, an
                attached one only detaches.

        Raises:
            Exception: what the final checkpoint raised, or a failure in the background that was
                not told before. The app is closed all the same.
        """
        self._leave(checkpoint)

    def __enter__(self) -> App:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._leave(None)
        elif self._lifetime.open:
            self._lifetime.log_dropped(kind.__name__)
            self._close(checkpoint=False)

    def __del__(self) -> None:
        lifetime: Lifetime | None = getattr(self, "_lifetime", None)
        if lifetime is not None and lifetime.open:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self._close(checkpoint=False)

    def _leave(self, checkpoint: bool | None) -> None:
        if self._lifetime.open or self._lifetime.forked:
            self._require_outside("close")
            self._close(
                checkpoint=self._backend.group is None if checkpoint is None else checkpoint
            )
            self._failures.raise_pending()

    def _close(self, *, checkpoint: bool) -> None:
        self._schedule.stop()
        try:
            if checkpoint and not self._region.read_only:
                self._backend.checkpoint(CheckpointRequest())
                self._retain()
        finally:
            self._lifetime.end()
            self._backend.close()

    def _require_outside(self, verb: str) -> None:
        self._store.require_open()
        if self._region.guard.depth:
            raise RuntimeError(
                f"{verb}() inside an update would wait for itself: leave `with app.update():` first"
            )

    def _checkpoint_by_itself(self) -> None:
        if self._region.partial:
            return
        try:
            self._backend.checkpoint(CheckpointRequest())
        except Exception as error:
            self._failures.record("an automatic checkpoint", error)
        self._retain()

    def _retain(self) -> None:
        if self._retention is None:
            return
        try:
            self._backend.prune(self._retention)
        except Exception as error:
            self._failures.record("deleting old checkpoints", error)


_apps: Final[weakref.WeakSet[App]] = weakref.WeakSet()


@atexit.register
def _close_at_exit() -> None:
    """Apps that nobody closed: as after a crash, but their threads end before the interpreter."""
    for app in list(_apps):
        if app._lifetime.open:
            app._lifetime.log_dropped("the end of the program")
            app._close(checkpoint=False)
