"""What a program wants done around checkpoints and restores.

Hooks run in the thread that asks for the checkpoint, or in the membership's own; asyncio ones
on the loop on which they were registered. None runs in the pause. When to call them is the
backend's business.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mmsnap.errors import QuiesceTimeoutError
from mmsnap.quantities import format_duration

if TYPE_CHECKING:
    import asyncio

# How long an asyncio hook may take when the checkpoint or restore is done already.
AFTER_TIMEOUT_NS: Final = 10 * 10**9

Call = Callable[..., Any]
CallT = TypeVar("CallT", bound=Call)


class _Hook:
    """A function, and the loop it must run on if it is a coroutine function."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.name = getattr(call, "__qualname__", repr(call))
        self._loop: asyncio.AbstractEventLoop | None = None
        if inspect.iscoroutinefunction(call):
            import asyncio

            self._loop = asyncio.get_running_loop()

    def run(self, *args: Any, timeout_ns: int) -> None:
        """Runs it; TimeoutError when an asyncio one has not ended in time (it is cancelled)."""
        if self._loop is None:
            self.call(*args)
        else:
            self._run_on_loop(self._loop, self.call(*args), timeout_ns)

    def _run_on_loop(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], timeout_ns: int
    ) -> None:
        import asyncio

        if _running_loop() is loop or not loop.is_running():
            coroutine.close()
            raise RuntimeError(
                f"the hook {self.name} runs on an event loop that can not run it now: use "
                "mmsnap.aio, and `await app.checkpoint()`, on that loop"
            )
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            future.result(timeout_ns / 1e9)
        except TimeoutError:
            if future.done():
                raise
            future.cancel()
            raise TimeoutError(
                f"it did not end within {format_duration(timeout_ns)} and was cancelled"
            ) from None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Hooks:
    """The hooks of an app, in the order in which they were registered."""

    def __init__(self) -> None:
        self._before: list[_Hook] = []
        self._after: list[_Hook] = []
        self._restored: list[_Hook] = []

    def add_before(self, call: CallT) -> CallT:
        """Registers `call()`, to run before each checkpoint."""
        self._before.append(_Hook(call))
        return call

    def add_after(self, call: CallT) -> CallT:
        """Registers `call(outcome)`, to run after each commit or abort."""
        self._after.append(_Hook(call))
        return call

    def add_restored(self, call: CallT) -> CallT:
        """Registers `call(checkpoint)`, to run after each restore in place."""
        self._restored.append(_Hook(call))
        return call

    def remove_before(self, call: Call) -> None:
        """Takes a before hook back."""
        self._before = [hook for hook in self._before if hook.call is not call]

    def run_before(self, budget_ns: int) -> int:
        """Runs the before hooks, last registered first; returns the nanoseconds they took.

        Raises:
            QuiesceTimeoutError: they took longer than `budget_ns`.
            Exception: whatever a hook raised; the later ones have not run.
        """
        begun_ns = time.monotonic_ns()
        for hook in reversed(self._before):
            failure = _run(hook, timeout_ns=budget_ns - (time.monotonic_ns() - begun_ns))
            if time.monotonic_ns() - begun_ns >= budget_ns:
                raise QuiesceTimeoutError(
                    f"the before_checkpoint hook {hook.name} did not end within "
                    f"{format_duration(budget_ns)}",
                    subject=hook.name,
                    hint="make it quicker, or give the checkpoint a longer timeout",
                ) from failure
            if failure is not None:
                raise failure
        return time.monotonic_ns() - begun_ns

    def run_after(self, outcome: object) -> list[Exception]:
        """Runs all after hooks; returns what they raised."""
        failures = [_run(hook, outcome, timeout_ns=AFTER_TIMEOUT_NS) for hook in list(self._after)]
        return [failure for failure in failures if failure is not None]

    def run_restored(self, checkpoint: object) -> list[Exception]:
        """Runs all restore hooks; returns what they raised."""
        hooks = list(self._restored)
        failures = [_run(hook, checkpoint, timeout_ns=AFTER_TIMEOUT_NS) for hook in hooks]
        return [failure for failure in failures if failure is not None]


def _run(hook: _Hook, *args: object, timeout_ns: int) -> Exception | None:
    try:
        hook.run(*args, timeout_ns=timeout_ns)
    except Exception as error:
        error.add_note(f"in the hook {hook.name}")
        return error
    return None
