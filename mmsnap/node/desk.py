"""What the groups of a service share, what is asked of one, what comes of it: values, no deeds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmsnap.catalog import GroupCheckpoint, GroupRecord
from mmsnap.node.events import Events
from mmsnap.node.ledger import Ledger
from mmsnap.node.mesh import Mesh
from mmsnap.node.metrics import Metrics
from mmsnap.node.mirror import Mirror
from mmsnap.node.perform import Participant
from mmsnap.node.replicas import Replicas
from mmsnap.node.switchboard import Switchboard


@dataclass(frozen=True, slots=True)
class Desk:
    """What the groups of a service share."""

    pool: Path
    ledger: Ledger
    switchboard: Switchboard
    events: Events
    mesh: Mesh | None = None  # the other nodes, where there may be some
    replicas: Replicas | None = None  # and the copies there
    mirror: Mirror | None = None  # and what is known while etcd has no majority
    metrics: Metrics = field(default_factory=Metrics)
    schedules_changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class CheckpointOrder:
    """What is asked of one group checkpoint; `name` empty: made from time and epoch."""

    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    max_pause_ns: int = 0
    timeout_ns: int = 0  # for hooks and open updates; 0: the budgets' own
    automatic: bool = False
    unasked: bool = False  # refused while an update is left half done
    replicas: int = 0
    # Asked in the group's turn, before anything is done: what it raises is how it ends.
    agreed: Callable[[GroupRecord, Collection[Participant]], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore came to.

    `behind` are members that did not follow. `awaited` are programs that have to be started
    first: then nothing happened yet, and the head is still `head_epoch`.
    """

    checkpoint: GroupCheckpoint
    head_epoch: int | None
    behind: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
