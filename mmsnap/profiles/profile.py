"""Steps around a cut, taken in order and undone in reverse."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from mmsnap.errors import MmsnapError, QuiesceTimeoutError

log = logging.getLogger(__name__)

DEFAULT_SECONDS: Final = 10.0

# Does something within so many seconds, or raises.
Action = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do before the cut, and what takes it back whatever became of the cut."""

    name: str
    before: Action | None = None
    after: Action | None = None
    timeout_seconds: float = DEFAULT_SECONDS


class Profile:
    """The steps of one member. Of one thread."""

    def __init__(self, name: str, steps: Iterable[Step], restored: Iterable[Step] = ()) -> None:
        """`restored`: what has to be done, or be true, after a restore."""
        self.name = name
        self._steps = tuple(steps)
        self._restored = tuple(restored)
        self._done: list[Step] = []

    @property
    def is_application(self) -> bool:
        """Whether the application takes part, so that a cut is more than any instant."""
        return any(step.before is not None for step in self._steps)

    def before_checkpoint(self, budget_seconds: float) -> None:
        """Takes the steps; if one fails, those before it are undone and its error is raised."""
        deadline = time.monotonic() + budget_seconds
        for step in self._steps:
            left = min(step.timeout_seconds, deadline - time.monotonic())
            try:
                if left <= 0:
                    raise QuiesceTimeoutError("there was no time left for it", subject=step.name)
                self._done.append(step)
                if step.before is not None:
                    step.before(left)
            except Exception as error:
                self.after_checkpoint(False)
                raise _failed(step, error) from error

    def after_checkpoint(self, committed: bool) -> None:
        """Undoes what was done, in reverse; all of it, even if some fails."""
        while self._done:
            step = self._done.pop()
            try:
                if step.after is not None:
                    step.after(step.timeout_seconds)
            except Exception as error:
                log.error("step %s could not be undone: %s", step.name, error)

    def after_restore(self) -> None:
        """Takes what the checkpoint remembers of its steps back, then checks."""
        self._done = [step for step in self._steps if step.after is not None]
        self.after_checkpoint(True)
        for step in self._restored:
            try:
                if step.before is not None:
                    step.before(step.timeout_seconds)
            except Exception as error:
                raise _failed(step, error) from error


def _failed(step: Step, error: Exception) -> MmsnapError:
    told = error.message if isinstance(error, MmsnapError) else str(error)
    kind = QuiesceTimeoutError if isinstance(error, TimeoutError) else MmsnapError
    return kind(f"step {step.name}: {told}", subject=step.name)


NO_PROFILE: Final = Profile("none", ())
