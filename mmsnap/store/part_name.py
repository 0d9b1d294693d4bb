"""What a part is called, and where it is in a pool."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mmsnap.catalog import EngineKind
from mmsnap.process.manifest import Part, member_folder


def region_name(group: str, member: str) -> str:
    """The region of a member in a service's pool."""
    return f"{group}.{member}"


@dataclass(frozen=True, slots=True)
class PartName:
    """One member's part of one checkpoint."""

    group: str
    member: str
    engine: EngineKind
    epoch: int

    def __str__(self) -> str:
        return f"@{self.epoch} of member {self.member} of group {self.group}"

    @property
    def region(self) -> str:
        """The region of a member with memory of ours."""
        return region_name(self.group, self.member)

    def program(self, pool: Path, folder_name: str = "") -> Part:
        """The part of an unmodified program."""
        return Part(member_folder(pool, self.group, self.member), self.epoch, folder_name)

    def at(self, epoch: int) -> PartName:
        """The same member's part of another checkpoint."""
        return replace(self, epoch=epoch)
