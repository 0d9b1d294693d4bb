"""Which groups, members and group checkpoints exist: a file in the pool, or etcd for many nodes.

The commit of a group checkpoint and a move of a group's head are one
transaction each; what is not in here was aborted. The bytes themselves, and the
checkpoints of embedded pools, are mmsnap.memory's.
"""

from mmsnap.catalog.catalog import (
    Catalog,
    NoMajorityError,
    epoch_named,
    group_taken,
    name_taken,
    no_checkpoint,
    no_node,
    no_schedule,
)
from mmsnap.catalog.durability import durability
from mmsnap.catalog.mirror import Mirrored
from mmsnap.catalog.records import (
    Copies,
    EngineKind,
    GroupCheckpoint,
    GroupRecord,
    MemberFigures,
    MemberRecord,
    MemberState,
    NodeRecord,
    OnLoss,
    ScheduleOutcome,
    ScheduleRecord,
)
from mmsnap.catalog.sqlite_catalog import SqliteCatalog

__all__ = [
    "Catalog",
    "Copies",
    "EngineKind",
    "GroupCheckpoint",
    "GroupRecord",
    "MemberFigures",
    "MemberRecord",
    "MemberState",
    "Mirrored",
    "NoMajorityError",
    "NodeRecord",
    "OnLoss",
    "ScheduleOutcome",
    "ScheduleRecord",
    "SqliteCatalog",
    "durability",
    "epoch_named",
    "group_taken",
    "name_taken",
    "no_checkpoint",
    "no_node",
    "no_schedule",
]
