"""Which arrays a checkpoint holds, asked before a restore would take them from under a view.

Usually it is known without looking: no array changed between the checkpoint and now. Otherwise
the checkpoint is opened for reading beside the app and its directory is read.
"""

from __future__ import annotations

from collections.abc import Mapping

from mmsnap.memory import Region
from mmsnap_sdk.arrays import Arrays
from mmsnap_sdk.checkpoint import Checkpoint
from mmsnap_sdk.directory import ArrayEntry
from mmsnap_sdk.store import Store


class Lineage:
    """Follows the cuts of an app to know which of them have the arrays of now."""

    def __init__(self, arrays: Arrays, shown: Checkpoint | None) -> None:
        self._arrays = arrays
        self._count_before_cut: int | None = None
        self._count_of_range: int | None = None
        self.restored(shown)

    def cut_begins(self) -> None:
        """A checkpoint is about to be taken; not before it ends is the next one."""
        self._count_before_cut = self._arrays.change_count

    def cut_ended(self, committed_epoch: int | None) -> None:
        """The checkpoint was committed, or (None) there is none."""
        count, self._count_before_cut = self._count_before_cut, None
        if committed_epoch is None or count != self._arrays.change_count:
            return
        if count != self._count_of_range:
            self._first_epoch = committed_epoch
        self._last_epoch = committed_epoch
        self._count_of_range = count

    def restored(self, shown: Checkpoint | None) -> None:
        """The memory shows this checkpoint since just now, None: nothing."""
        self._shown_epoch = None if shown is None else shown.epoch
        self._count_of_shown = self._arrays.change_count
        self._first_epoch = self._last_epoch = 0
        self._count_of_range = None

    def has_the_same_arrays(self, epoch: int) -> bool:
        """Whether the checkpoint is known, without looking, to have the arrays of now."""
        count = self._arrays.change_count
        if epoch == self._shown_epoch:
            return count == self._count_of_shown
        return count == self._count_of_range and self._first_epoch <= epoch <= self._last_epoch


def arrays_of(region: Region, checkpoint: Checkpoint) -> Mapping[str, ArrayEntry]:
    """The directory of a checkpoint, read beside the region's owner."""
    reader = Region.open(region.pool, region.name, mode="r", head=checkpoint.epoch)
    try:
        store = Store(reader)
        arrays = Arrays(store)
        store.open()
        return dict(arrays.entries())
    finally:
        reader.close()


def require_restorable(arrays: Arrays, lineage: Lineage, region: Region, to: Checkpoint) -> None:
    """Raises BufferError when restoring `to` would drop or reshape an array that is in view."""
    if lineage.has_the_same_arrays(to.epoch):
        return
    live = arrays.live_views()
    if not live:
        return
    then = arrays_of(region, to)
    for name, entry in live.items():
        if then.get(name) != entry:
            change = "drop" if name not in then else "change the shape or type of"
            raise BufferError(
                f"restoring {to.name!r} would {change} array {name!r}, which is still in use: "
                "delete the variables that refer to it or to parts of it, and try again"
            )
