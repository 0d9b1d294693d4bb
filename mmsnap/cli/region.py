"""The checkpoints of a region of an embedded pool, without any service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from mmsnap.cli.checkpoints import Entry
from mmsnap.cli.progress import Told
from mmsnap.errors import NotFoundError, UnsupportedError
from mmsnap.memory import Region, regions
from mmsnap_sdk.backend import Outcome
from mmsnap_sdk.checkpoint import Checkpoint, Durability
from mmsnap_sdk.embedded import EmbeddedBackend
from mmsnap_sdk.request import checkpoint_request, retention


class _NoProgram:
    """The listener of a region that no program has open: there are no hooks to call."""

    def before_checkpoint(self, budget_ns: int) -> int:
        return 0

    def after_checkpoint(self, outcome: Outcome) -> None: ...

    def after_restore(self, checkpoint: Checkpoint | None) -> None: ...

    def background_failure(self, error: Exception) -> None: ...


class RegionCheckpoints:
    """`Checkpoints` of an open region."""

    def __init__(self, region: Region) -> None:
        self.owner = region.name
        self._region = region
        self._backend = EmbeddedBackend(region)
        self._backend.start(_NoProgram())

    def entries(self) -> list[Entry]:
        head = self._backend.head()
        head_epoch = head and head.epoch
        return [
            Entry(self.owner, each, each.epoch == head_epoch)
            for each in self._backend.checkpoints()
        ]

    def find(self, name: str) -> Entry:
        found = self._backend.find(name)
        return next(entry for entry in self.entries() if entry.checkpoint.epoch == found.epoch)

    def create(
        self,
        name: str | None,
        *,
        wait: Durability,
        max_pause: str | None,
        replicas: int,
        told: Told,
    ) -> Checkpoint:
        if replicas:
            raise UnsupportedError("a pool without a service has no other nodes")
        told("copying what changed")
        return self._backend.checkpoint(
            checkpoint_request(name, None, wait, None, max_pause, accept_partial=False)
        )

    def restore(self, name: str) -> tuple[str, ...]:
        self._backend.restore(self._of_no_group(name))
        return ()

    def check(self, name: str) -> None:
        self._region.verify(self._of_no_group(name).epoch)

    def verify(self, name: str) -> None:
        self._region.verify(self._region.find(name).epoch)

    def delete(self, name: str) -> None:
        self._backend.delete(self._of_no_group(name))

    def pin(self, name: str, pinned: bool) -> None:
        self._backend.pin(self._backend.find(name), pinned)

    def prune(
        self, keep_last: int | None, keep_within: str | None, *, dry_run: bool
    ) -> list[Entry]:
        policy = retention(keep_last, keep_within)
        gone = self._backend.prune(policy, dry_run=True)
        for each in () if dry_run else gone:
            self.delete(f"@{each.epoch}")
        return [Entry(self.owner, each, head=False) for each in gone]

    def wait(self, name: str, durability: Durability, timeout: str | None) -> None:
        self._backend.find(name).wait(durability, timeout)

    def _of_no_group(self, name: str) -> Checkpoint:
        """Refuses what is one member's part of a group checkpoint: the group owns it."""
        record = self._region.find(name)
        if record.group:
            raise UnsupportedError(
                f"{record.name} is one member's part of a group checkpoint",
                subject=record.name,
                hint="name the group instead of --pool, so that all members follow",
            )
        return self._backend.find(name)


@contextmanager
def open_region(pool: Path, name: str | None, *, writing: bool) -> Iterator[RegionCheckpoints]:
    """The checkpoints of a region, which `name` may leave out when the pool has only one.

    What they refuse inside the `with` (a malformed name, say) ends as a usage error.

    Raises:
        NotFoundError: there is no such pool or region.
        InUseError: `writing`, and a program has the region open.
        typer.BadParameter: the pool has several regions, and none is named.
    """
    names = region_names(pool, name)
    if len(names) > 1:
        raise typer.BadParameter(
            f"the pool has several regions, name one of {', '.join(names)}", param_hint="--region"
        )
    region = Region.open(pool, names[0], mode="r+" if writing else "r")
    try:
        yield RegionCheckpoints(region)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    finally:
        region.close()


def region_names(pool: Path, name: str | None) -> list[str]:
    """The regions that are meant: `name`, or else all of the pool, of which there is one at least.

    Raises:
        NotFoundError: there is no such pool or region.
    """
    names = regions(pool)
    if name is None and names:
        return names
    if name is not None and name in names:
        return [name]
    raise NotFoundError(
        f"pool {pool} has no region" + (f" {name}" if name else ""),
        subject=str(pool),
        hint=f"it has {', '.join(names)}" if names else "",
    )
