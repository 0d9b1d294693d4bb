"""Records of the catalog out of JSON, as etcd and the mirror in a pool keep them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mmsnap.catalog.records import (
    EngineKind,
    GroupCheckpoint,
    MemberFigures,
    MemberRecord,
    MemberState,
    OnLoss,
)


def checkpoint_of(record: dict[str, Any]) -> GroupCheckpoint:
    """A group's checkpoint with the figures of its members."""
    parts = (MemberFigures(**part) for part in record["members"])
    members = tuple(replace(part, engine=EngineKind(part.engine)) for part in parts)
    return GroupCheckpoint(**{**record, "members": members})


def member_of(record: dict[str, Any]) -> MemberRecord:
    """A member of a group."""
    return MemberRecord(
        **{
            **record,
            "on_loss": OnLoss(record["on_loss"]),
            "state": MemberState(record["state"]),
            "engine": EngineKind(record["engine"]),
        }
    )
