"""What this node knows of its groups while etcd has no majority: a file in the pool.

It keeps what was last seen of the catalog, and what was done by that since. It neither looks at
etcd (`mirroring`) nor says what may be done (`without_etcd`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from mmsnap.catalog import MemberRecord, Mirrored
from mmsnap.catalog.mirror import from_json, to_json
from mmsnap.errors import AbortedError

log = logging.getLogger(__name__)

FILE: Final = "mirror.json"
_VERSION: Final = 1


class Mirror:
    """Of one event loop.

    Attributes:
        owed: members that came back without etcd, by group and name: it has to hear of them.
        stale: something was done to a group since etcd was looked at.
    """

    def __init__(self, pool: Path, node: str) -> None:
        self.node = node
        self.owed: dict[tuple[str, str], MemberRecord] = {}
        self.stale = asyncio.Event()
        self._path = pool / FILE
        self._groups = _load(self._path)
        self._writing = asyncio.Lock()

    def groups(self) -> dict[str, Mirrored]:
        """What is known, by group."""
        return dict(self._groups)

    def get(self, group: str) -> Mirrored | None:
        return self._groups.get(group)

    def has_member(self, member: MemberRecord) -> bool:
        """Whether the catalog had it at this place, when it was looked at last."""
        known = self._groups.get(member.group)
        row = None if known is None else known.member(member.name)
        return row is not None and (row.node, row.incarnation) == (member.node, member.incarnation)

    def is_ahead(self, group: str) -> bool:
        """Whether the group was restored, and the catalog does not know it."""
        known = self._groups.get(group)
        return known is not None and known.moved_epoch > 0

    async def see(self, groups: Mapping[str, Mirrored]) -> None:
        """These are the groups of this node, as the catalog has them now."""
        async with self._writing:
            kept = {name: group for name, group in self._groups.items() if group.moved_epoch}
            wanted = {**{name: self._seen(group) for name, group in groups.items()}, **kept}
            if wanted != self._groups:
                await self._write(wanted)

    async def recorded(self, group: str) -> None:
        """The catalog has the restore, or something else that counts more."""
        async with self._writing:
            await self._write_one(replace(self._groups[group], moved_epoch=0))

    async def take_number(self, group: str) -> int:
        """A number for an operation that nobody else ever uses; AbortedError without one."""
        async with self._writing:
            known = self._groups[group]
            epoch = known.free_epoch(self.node)
            if epoch is None:
                raise AbortedError(
                    f"no number was set aside for group {group} while etcd answered", subject=group
                )
            await self._write_one(replace(known, used_epoch=epoch))
        return epoch

    async def move(self, base: Mirrored, target: int, epoch: int) -> None:
        """The group's head is `target` now: the commit point of a restore without etcd.

        `base` is what the restore began with: what was seen since is not what it stands on.
        """
        async with self._writing:
            await self._write_one(base.moved(target, epoch))

    def _seen(self, group: Mirrored) -> Mirrored:
        before = self._groups.get(group.record.name)
        return group if before is None else replace(group, used_epoch=before.used_epoch)

    async def _write_one(self, group: Mirrored) -> None:
        await self._write({**self._groups, group.record.name: group})

    async def _write(self, wanted: dict[str, Mirrored]) -> None:
        text = json.dumps({"version": _VERSION, "groups": to_json(wanted)})
        await asyncio.to_thread(_replace, self._path, text)
        self._groups = wanted


def _load(path: Path) -> dict[str, Mirrored]:
    try:
        read = json.loads(path.read_text())
        return from_json(read["groups"]) if read["version"] == _VERSION else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is not used: %s", path, error)
        return {}


def _replace(path: Path, text: str) -> None:
    """All of it or nothing, and on the medium."""
    new = path.with_suffix(".new")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
