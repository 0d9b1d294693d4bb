"""Which groups, members and group checkpoints exist: a file in the pool, or etcd for many nodes.

The commit of a group checkpoint and a move of a group's head are one
transaction each; what is not in here was aborted. The bytes themselves, and the
checkpoints of embedded pools, are mmsnap.memory's.
"""

from mmsnap.catalog.catalog import Catalog, group_taken, name_taken
from mmsnap.catalog.records import (
    EngineKind,
    GroupCheckpoint,
    GroupRecord,
    MemberFigures,
    MemberRecord,
    MemberState,
    OnLoss,
)
from mmsnap.catalog.sqlite_catalog import SqliteCatalog

__all__ = [
    "Catalog",
    "EngineKind",
    "GroupCheckpoint",
    "GroupRecord",
    "MemberFigures",
    "MemberRecord",
    "MemberState",
    "OnLoss",
    "SqliteCatalog",
    "group_taken",
    "name_taken",
]
