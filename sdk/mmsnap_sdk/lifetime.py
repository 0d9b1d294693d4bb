"""From when on an app can not be used any more: after close, and in a forked child.

In a forked child the regions of the parent are closed: its memory is a private copy that nobody
keeps. What is forked is not asked, so all open apps are known here.
"""

from __future__ import annotations

import os
import warnings
from typing import Final

from mmsnap.errors import ForkedError, MmsnapError
from mmsnap.quantities import format_size
from mmsnap_sdk.arrays import Arrays
from mmsnap_sdk.failures import logger
from mmsnap_sdk.store import Store


class Lifetime:
    """Whether an app is open.

    Attributes:
        open: neither closed nor in a forked child.
        forked: this is a forked child of the process that opened it.
    """

    def __init__(self, store: Store, arrays: Arrays) -> None:
        self.open = True
        self.forked = False
        self._store = store
        self._arrays = arrays
        self._name = store.region.name
        _lifetimes.add(self)

    def log_dropped(self, by: str) -> None:
        """Says what is lost because `by` closes the app without a checkpoint."""
        region = self._store.region
        head = region.head
        logger.warning(
            "region %s: closed by %s without a checkpoint: what was written since %s is dropped, "
            "%s in pages",
            self._name,
            by,
            "the beginning" if head is None else f"checkpoint {head.name}",
            format_size(region.usage().dirty_bytes),
        )

    def end(self) -> None:
        """The app is being closed; warns of views that outlive it."""
        self._warn("after close()", stacklevel=6)
        self.open = False
        _lifetimes.discard(self)
        self._store.end(
            MmsnapError(
                f"the app of region {self._name!r} is closed",
                subject=self._name,
                hint="open it again",
            )
        )

    def end_in_child(self) -> None:
        """This process is a forked child of the one that opened the app."""
        if self.open:
            self.open, self.forked = False, True
            self._store.end(
                ForkedError(
                    f"region {self._name!r} was opened before fork() and is closed in the child",
                    subject=self._name,
                    hint="open regions in the process that uses them, after the fork",
                )
            )
            self._warn("in a forked child", stacklevel=4)

    def _warn(self, when: str, stacklevel: int) -> None:
        names = self._arrays.names_in_view()
        if names and not self._store.region.read_only:
            warnings.warn(
                f"views of {', '.join(map(repr, names))} are still in use {when} of region "
                f"{self._name!r}: they are private memory now, what is written to them is lost",
                ResourceWarning,
                stacklevel=stacklevel,
            )


# Strong references, so that the region of a forgotten app is still there when its app is collected.
_lifetimes: Final[set[Lifetime]] = set()


def _end_all_in_child() -> None:
    while _lifetimes:
        _lifetimes.pop().end_in_child()


os.register_at_fork(after_in_child=_end_all_in_child)
