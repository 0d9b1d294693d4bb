"""Which checkpoints a policy lets go: the one rule, of embedded pools and of groups.

Pure: it is given what there is and how old each is, and deletes nothing. How many of the newest
stay goes by epochs, which no clock gives; only `keep_within_ns` asks for an age. So a clock that is
an hour wrong keeps or drops by that hour, and never touches the newest ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

# Of those that are taken by themselves, when nobody says how many are to stay.
KEEP_LAST_BY_DEFAULT: Final = 10


@dataclass(frozen=True, slots=True)
class Retention:
    """What a policy keeps; a checkpoint that either part keeps stays.

    Attributes:
        keep_last: so many of the newest automatic checkpoints; None: says nothing.
        keep_within_ns: automatic ones that are not older than this; None: says nothing.
    """

    keep_last: int | None = None
    keep_within_ns: int | None = None

    def __post_init__(self) -> None:
        """ValueError for a policy that says nothing, which would let everything go."""
        if self.keep_last is None and self.keep_within_ns is None:
            raise ValueError("prune needs keep_last= or keep_within=")
        if (self.keep_last or 0) < 0 or (self.keep_within_ns or 0) < 0:
            raise ValueError("prune can not keep less than nothing")


class Listed(Protocol):
    """What the rule asks of a checkpoint itself."""

    @property
    def epoch(self) -> int: ...

    @property
    def automatic(self) -> bool: ...

    @property
    def pinned(self) -> bool: ...


ListedT = TypeVar("ListedT", bound=Listed)


def prunable(
    checkpoints: Iterable[ListedT],
    retention: Retention,
    *,
    age_ns: Callable[[ListedT], int],
    needed: Collection[int | None],
) -> list[ListedT]:
    """What pruning may delete, ascending by epoch: automatic ones that nothing keeps.

    Args:
        age_ns: how old one is; negative when it was made by a clock that is ahead of ours.
        needed: epochs that stay whatever the policy says: the head, and what a restore waits for.
    """
    automatic = sorted((each for each in checkpoints if each.automatic), key=lambda c: c.epoch)
    last = min(retention.keep_last or 0, len(automatic))
    within_ns = retention.keep_within_ns
    return [
        each
        for each in automatic[: len(automatic) - last]
        if not each.pinned
        and each.epoch not in needed
        and (within_ns is None or age_ns(each) > within_ns)
    ]
