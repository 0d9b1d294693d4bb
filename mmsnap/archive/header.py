"""What an archive is made of: the one module that knows its names and its first bytes.

A tar stream, compressed with Zstandard (with its checksum):

    checkpoint.json          what the catalog knew, and the regions' sizes
    members/M/part/...       an unmodified program's part, as in the pool, with its manifest
    members/M/region         a region's bytes
    end.json                 CRC32C of each region; without it the archive was cut short
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from mmsnap.catalog import EngineKind, GroupCheckpoint, MemberFigures
from mmsnap.errors import CorruptionError, FormatVersionError, NotFoundError

VERSION: Final = 1
HEADER: Final = "checkpoint.json"
END: Final = "end.json"
MEMBERS: Final = "members"
PART: Final = "part"
REGION: Final = "region"
EPOCH: Final = 1
"""The epoch of the one checkpoint that a group made from a copy begins with."""

_LABEL: Final = re.compile(r"[A-Za-z0-9._-]{1,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RegionHeader:
    """A region's bytes in an archive.

    Attributes:
        size_max_bytes: what it may grow to.
        extent_bytes: what is in the archive.
        meta: what the SDK keeps with a checkpoint.
        partial: an exception had left an update half done.
    """

    size_max_bytes: int
    extent_bytes: int
    meta: Mapping[str, Any]
    partial: bool


@dataclass(frozen=True, slots=True)
class Header:
    """The checkpoint of an archive, and each member with its kind."""

    checkpoint: GroupCheckpoint
    regions: Mapping[str, RegionHeader] = field(default_factory=dict)

    def encode(self) -> bytes:
        """As checkpoint.json has it."""
        regions = {member: asdict(region) for member, region in self.regions.items()}
        fields = {
            "version": VERSION,
            "checkpoint": asdict(self.checkpoint),
            "regions": regions,
        }
        return json.dumps(fields, indent=1).encode()

    @classmethod
    def decode(cls, encoded: bytes) -> Header:
        """What `encode` made; FormatVersionError, CorruptionError."""
        try:
            fields = json.loads(encoded)
            version = fields["version"]
            if version > VERSION:
                raise FormatVersionError(
                    f"the archive has version {version}, this mmsnap reads {VERSION}",
                    hint="use the newer mmsnap that wrote it",
                )
            checkpoint = fields["checkpoint"]
            checkpoint["members"] = tuple(_figures(row) for row in checkpoint["members"])
            header = cls(
                GroupCheckpoint(**checkpoint),
                {member: RegionHeader(**region) for member, region in fields["regions"].items()},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptionError(f"the archive's {HEADER} is damaged: {error}") from error
        for name in (header.checkpoint.group, *(f.member for f in header.checkpoint.members)):
            if not _LABEL.fullmatch(name):
                raise CorruptionError(f"the archive names {name[:80]!r}, which is no name")
        return header

    def renamed(self, members: Mapping[str, str]) -> Header:
        """The same with other names for these members.

        Raises NotFoundError when there is no member of that name, ValueError when two would have
        one name.
        """
        there = [figures.member for figures in self.checkpoint.members]
        for unknown in sorted(members.keys() - set(there)):
            raise NotFoundError(
                f"checkpoint {self.checkpoint.name} has no member {unknown}",
                subject=unknown,
                hint=f"it has {', '.join(there)}",
            )
        names = [members.get(member, member) for member in there]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two members would be called {name}")
        figures = tuple(
            replace(figures, member=name)
            for figures, name in zip(self.checkpoint.members, names, strict=True)
        )
        return Header(
            replace(self.checkpoint, members=figures),
            {members.get(member, member): region for member, region in self.regions.items()},
        )

    def adopted(self, group: str) -> GroupCheckpoint:
        """The checkpoint as the first and only one of a new group."""
        return replace(
            self.checkpoint,
            group=group,
            epoch=EPOCH,
            parent_epoch=None,
            automatic=False,
            pinned=False,
        )


def _figures(fields: dict[str, Any]) -> MemberFigures:
    fields["engine"] = EngineKind(fields["engine"])
    return MemberFigures(**fields)
