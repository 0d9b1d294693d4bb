"""The checkpoints of a group, kept by a service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from mmsnap.cli.checkpoints import Entry
from mmsnap.cli.progress import Told
from mmsnap.errors import AbortedError
from mmsnap_sdk.checkpoint import Checkpoint, Durability
from mmsnap_sdk.client import Client
from mmsnap_sdk.service_records import GroupCheckpoint, Progress

# What each step of a checkpoint is to somebody who waits for it.
_STEPS = {
    "begin": "copying what changed while the members run",
    "resume": "sealing the members' logs, the members run",
    "decide": "writing the commit record",
}


class GroupCheckpoints:
    """`Checkpoints` of a group."""

    def __init__(self, client: Client, group: str) -> None:
        self.owner = group
        self._client = client

    def entries(self) -> list[Entry]:
        return group_entries(self._client, self.owner)

    def find(self, name: str) -> Entry:
        return _entry(self._client.find(self.owner, name))

    def create(
        self,
        name: str | None,
        *,
        wait: Durability,
        max_pause: str | None,
        replicas: int,
        told: Told,
    ) -> Checkpoint:
        def hear(progress: Progress) -> None:
            told(f"@{progress.epoch}: {_STEPS.get(progress.step, progress.step)}")

        return self._client.checkpoint(
            self.owner, name, wait=wait, max_pause=max_pause, replicas=replicas, progress=hear
        )

    def restore(self, name: str) -> tuple[str, ...]:
        restored = self._client.restore(self.owner, name)
        if restored.behind:
            who = ", ".join(restored.behind)
            raise AbortedError(
                f"{self.owner} is at {restored.name}, but {who} did not follow",
                subject=self.owner,
                hint="the service's log says why; `mmsnap ps` tells when they are back",
            )
        return restored.awaited

    def check(self, name: str) -> None:
        self._client.check_restore(self.owner, name)

    def verify(self, name: str) -> None:
        self._client.verify(self.owner, name)

    def delete(self, name: str) -> None:
        self._client.delete_checkpoint(self.owner, name)

    def pin(self, name: str, pinned: bool) -> None:
        change = self._client.pin if pinned else self._client.unpin
        change(self.owner, name)

    def prune(
        self, keep_last: int | None, keep_within: str | None, *, dry_run: bool
    ) -> list[Entry]:
        gone = self._client.prune(
            self.owner, keep_last=keep_last, keep_within=keep_within, dry_run=dry_run
        )
        return [_entry(each) for each in gone]

    def wait(self, name: str, durability: Durability, timeout: str | None) -> None:
        self._client.find(self.owner, name).wait(durability, timeout)


@contextmanager
def connected(address: str | None) -> Iterator[Client]:
    """A client of the service; what it refuses inside the `with` ends as a usage error."""
    with Client(address) as client:
        try:
            yield client
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error


def group_entries(client: Client, group: str | None) -> list[Entry]:
    """The checkpoints of a group, or of all groups."""
    return [_entry(each) for each in client.checkpoints(group)]


def _entry(checkpoint: GroupCheckpoint) -> Entry:
    return Entry(checkpoint.group, checkpoint, checkpoint.head)
