"""How long each step of an operation may take.

The only place where the protocol's times are chosen. Nothing here reads a
clock: the caller of the state machine brings the time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Budgets:
    """Budgets of one operation, in nanoseconds.

    A member thaws by itself `lease_ns` after the last order that carried a
    lease; while the service lives it renews at half of it, so the budgets of
    the steps, not the lease, decide how long a slow member may hold the others.
    """

    # Long enough to outlast a starved service, short enough that nobody takes a
    # member whose service was killed in the middle of a cut for a hung one.
    lease_ns: int = 2 * SECOND_NS
    # The application's own before-hooks run while everything works.
    hooks_ns: int = 5 * SECOND_NS
    # Hooks and pre-copy together: the application runs, so generous.
    begin_ns: int = 30 * SECOND_NS
    # All others stand still while the last one ends its update, so tight.
    quiesce_ns: int = 1500 * MILLISECOND_NS
    # What a member's answer may need on top of the time it was given itself.
    answer_ns: int = 250 * MILLISECOND_NS
    # Scan and copy of the largest region at the slowest medium.
    cut_ns: int = 10 * SECOND_NS
    # The members run on; only the completion of their logs is awaited.
    seal_ns: int = 30 * SECOND_NS
    # Everything that a restore stands on is read, while the program runs.
    check_ns: int = 60 * SECOND_NS
    # Undo deltas are laid over the base and tracking is armed, all held.
    restore_ns: int = 30 * SECOND_NS

    def with_timeout(self, timeout_ns: int) -> Budgets:
        """The same with that long for hooks and open updates; 0: as they are."""
        if not timeout_ns:
            return self
        return replace(
            self,
            hooks_ns=timeout_ns,
            begin_ns=timeout_ns + self.answer_ns,
            quiesce_ns=min(timeout_ns, self.quiesce_ns),
        )


DEFAULT_BUDGETS = Budgets()
