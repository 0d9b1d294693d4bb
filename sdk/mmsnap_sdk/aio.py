"""The same names for asyncio: what blocks is a coroutine, what does not stays as it is.

The blocking calls run in a thread each, so the loop goes on meanwhile. `update()` stays a plain
`with`; it should not be held over an await, for no checkpoint can be taken until it ends.

    async with mmsnap.aio.open("./pool", "counter") as app:
        hits = app.array("hits", (1000,), int)
        with app.update():
            hits[0] += 1
        await app.checkpoint()
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import wraps
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from numpy.typing import DTypeLike, NDArray

from mmsnap_sdk import opening
from mmsnap_sdk.app import App
from mmsnap_sdk.arrays import Arrays, Shape
from mmsnap_sdk.checkpoint import Checkpoint, Durability
from mmsnap_sdk.hooks import CallT
from mmsnap_sdk.state import State

if TYPE_CHECKING:
    from mmsnap_sdk import attaching
    from mmsnap_sdk.async_client import AsyncClient as Client

__all__ = ["AsyncApp", "Client", "attach", "open"]

P = ParamSpec("P")
T = TypeVar("T")


class AsyncApp:
    """An `App` for asyncio: the same methods and meanings.

    Coroutine functions given as hooks run on the loop on which they were registered.

    Attributes:
        app: the `App` below, for `mmsnap.testing.strict` and the figures of its region.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    @property
    def restored(self) -> Checkpoint | None:
        """As `App.restored`."""
        return self.app.restored

    @property
    def generation(self) -> int:
        """As `App.generation`."""
        return self.app.generation

    @property
    def last_error(self) -> Exception | None:
        """As `App.last_error`."""
        return self.app.last_error

    @property
    def arrays(self) -> Arrays:
        """As `App.arrays`."""
        return self.app.arrays

    @property
    def state(self) -> State:
        """As `App.state`."""
        return self.app.state

    def array(
        self, name: str, shape: Shape | None = None, dtype: DTypeLike | None = None
    ) -> NDArray[Any]:
        """As `App.array`."""
        return self.app.array(name, shape, dtype)

    def resize(self, name: str, shape: Shape) -> NDArray[Any]:
        """As `App.resize`."""
        return self.app.resize(name, shape)

    def update(self) -> AbstractContextManager[Any]:
        """As `App.update`: a plain `with`, held by one task at a time."""
        return self.app.update()

    def before_checkpoint(self, hook: CallT) -> CallT:
        """As `App.before_checkpoint`."""
        return self.app.before_checkpoint(hook)

    def after_checkpoint(self, hook: CallT) -> CallT:
        """As `App.after_checkpoint`."""
        return self.app.after_checkpoint(hook)

    def after_restore(self, hook: CallT) -> CallT:
        """As `App.after_restore`."""
        return self.app.after_restore(hook)

    async def checkpoint(
        self,
        name: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        wait: Durability = "captured",
        timeout: timedelta | str | None = None,
        max_pause: timedelta | str | None = None,
        accept_partial: bool = False,
    ) -> Checkpoint:
        """As `App.checkpoint`."""
        return await self._in_thread(
            self.app.checkpoint,
            name,
            labels=labels,
            wait=wait,
            timeout=timeout,
            max_pause=max_pause,
            accept_partial=accept_partial,
        )

    async def restore(self, name: str = "latest") -> Checkpoint:
        """As `App.restore`."""
        return await self._in_thread(self.app.restore, name)

    async def checkpoints(self) -> list[Checkpoint]:
        """As `App.checkpoints`."""
        return await self._in_thread(self.app.checkpoints)

    async def delete_checkpoint(self, name: str) -> None:
        """As `App.delete_checkpoint`."""
        await self._in_thread(self.app.delete_checkpoint, name)

    async def pin(self, name: str) -> None:
        """As `App.pin`."""
        await self._in_thread(self.app.pin, name)

    async def unpin(self, name: str) -> None:
        """As `App.unpin`."""
        await self._in_thread(self.app.unpin, name)

    async def prune(
        self,
        *,
        keep_last: int | None = None,
        keep_within: timedelta | str | None = None,
        dry_run: bool = False,
    ) -> list[Checkpoint]:
        """As `App.prune`."""
        return await self._in_thread(
            self.app.prune, keep_last=keep_last, keep_within=keep_within, dry_run=dry_run
        )

    async def close(self, checkpoint: bool | None = None) -> None:
        """As `App.close`."""
        await self._in_thread(self.app.close, checkpoint)

    async def __aenter__(self) -> AsyncApp:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._in_thread(self.app.__exit__, kind, error, traceback)

    async def _in_thread(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        # In the thread it could not be told any more who holds the update.
        if self._holds_update():
            raise RuntimeError(
                f"{call.__name__}() inside an update would wait for itself: "
                "leave `with app.update():` first"
            )
        return await asyncio.to_thread(call, *args, **kwargs)

    def _holds_update(self) -> bool:
        guard = self.app.region.guard
        if not guard.depth:
            return False
        try:
            with guard:
                return True
        except RuntimeError:
            return False  # another task of this thread holds it


class _Opening:
    """What `open` and `attach` give: to be awaited, or entered with `async with`."""

    def __init__(self, make: Callable[[], App]) -> None:
        self._make = make
        self._app: AsyncApp | None = None

    def __await__(self) -> Generator[Any, None, AsyncApp]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncApp:
        self._app = await self._open()
        return self._app

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._app is not None
        await self._app.__aexit__(kind, error, traceback)

    async def _open(self) -> AsyncApp:
        return AsyncApp(await asyncio.to_thread(self._make))


def _later(make: Callable[P, App]) -> Callable[P, _Opening]:
    """`make`, to be awaited, or entered with `async with`."""

    @wraps(make)
    def begin(*args: P.args, **kwargs: P.kwargs) -> _Opening:
        return _Opening(lambda: make(*args, **kwargs))

    return begin


open = _later(opening.open)  # noqa: A001 - it is used as mmsnap.aio.open
if TYPE_CHECKING:
    attach = _later(attaching.attach)


def __getattr__(name: str) -> Any:
    # The client side of the service is loaded when it is first named, see mmsnap_sdk.
    if name == "attach":
        return _later(import_module("mmsnap_sdk.attaching").attach)
    if name == "Client":
        return import_module("mmsnap_sdk.async_client").AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
