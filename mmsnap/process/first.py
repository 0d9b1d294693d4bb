"""The first process of a program's namespaces, made by the shim here or by a container's runtime.

What is done to a program is the same in both; how its parent is told, and how a command gets to
where the program lives, is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Started:
    """A program came to be: its number inside its namespaces."""

    pid: int


@dataclass(frozen=True, slots=True)
class Exited:
    """A child of the first process ended; `status` is waitpid's."""

    pid: int
    status: int


class First(Protocol):
    """Number 1 of a program's namespaces, and the parent of whatever is restored there."""

    @property
    def pid(self) -> int:
        """Its number here."""

    def fileno(self) -> int:
        """Readable when `hear` has something to tell."""

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: str) -> None:
        """Starts the program; `Started` follows."""

    def signal(self, pid: int, number: int) -> None:
        """Sends a signal to a process by its number inside the namespaces."""

    def hear(self) -> Started | Exited | None:
        """The next news; None when the first process itself is gone."""

    def number_next(self, last_pid: int) -> None:
        """The next process of the namespaces gets a number above this one; OSError.

        May be called beside all else.
        """

    def within(self, command: Sequence[str], freezer_procs: Path | None = None) -> list[str]:
        """What runs a command where the program lives.

        What CRIU does not share with a program it captures: so it stays out of namespaces that are
        the program's own, and comes into those that are a container's.

        Args:
            freezer_procs: of the program's freezer, for what is to be one of its processes.
        """

    def replacing(self) -> None:
        """The program is going to be ended for a restore: that is not its end."""

    def replaced(self, root_pid: int) -> None:
        """This one, by its number inside the namespaces, is the program now."""

    def end(self) -> None:
        """Nothing more is wanted of it."""
