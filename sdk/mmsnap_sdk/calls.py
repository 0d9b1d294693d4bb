"""The calls of the node service: what each one sends and what its answer means.

Shared by the blocking and the asyncio client. Nothing here speaks to anybody.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from mmsnap.retention import Retention
from mmsnap.rpc.v1 import mmsnap_pb2 as pb
from mmsnap_sdk.checkpoint import DURABILITIES, Durability
from mmsnap_sdk.service_records import (
    Admission,
    Application,
    ArchivePiece,
    Engine,
    Event,
    GroupCheckpoint,
    GroupMemberCheckpoint,
    Member,
    MemberState,
    Node,
    NodeUsage,
    OnLoss,
    PoolUsage,
    Progress,
    RegionShare,
)

Result = TypeVar("Result")

# Long enough for the service's own budgets to end it first, with a better reason.
_QUICK_SECONDS: Final = 30.0
_OPERATION_SECONDS: Final = 150.0
# A member that comes from another node has its memory fetched first.
_ATTACH_SECONDS: Final = 3600.0
_WAIT_NS: Final = 60 * 10**9
_VERIFY_SECONDS: Final = 3600.0
_COPY_SECONDS: Final = 24 * 3600.0
_MESSAGE_BYTES: Final = 256 << 10  # a service takes messages of at most 1 MiB

_STATES: Final[dict[int, MemberState]] = {
    pb.MEMBER_STATE_ATTACHED: "attached",
    pb.MEMBER_STATE_JOINING: "joining",
    pb.MEMBER_STATE_LOST: "lost",
    pb.MEMBER_STATE_LEFT: "left",
}
_ON_LOSS: Final[dict[pb.OnLoss, OnLoss]] = {
    pb.ON_LOSS_ROLLBACK: "rollback",
    pb.ON_LOSS_WAIT: "wait",
    pb.ON_LOSS_FRESH: "fresh",
}
_ENGINES: Final[dict[pb.Engine, Engine]] = {
    pb.ENGINE_MEMORY: "memory",
    pb.ENGINE_PROCESS: "process",
}
_ENGINE_NUMBERS: Final = {name: number for number, name in _ENGINES.items()}
_ON_LOSS_NUMBERS: Final = {name: number for number, name in _ON_LOSS.items()}


@dataclass(frozen=True, slots=True)
class Call(Generic[Result]):
    """One call: the method's name, its request, and how to read an answer."""

    method: str
    request: Any
    read: Callable[[Any], Result]
    timeout_seconds: float | None = _QUICK_SECONDS


def attach(application: Application) -> Call[Admission]:
    request = pb.AttachRequest(
        group=application.group,
        member=application.member,
        pid=os.getpid(),
        size_bytes=application.size_bytes or 0,
        on_loss=_ON_LOSS_NUMBERS[application.on_loss],
        resuming=application.followed_restore_epoch is not None,
        followed_restore_epoch=application.followed_restore_epoch or 0,
        engine=_ENGINE_NUMBERS[application.engine],
        incarnation=application.incarnation,
    )
    return Call("Attach", request, _admission, _ATTACH_SECONDS)


def checkpoint(
    group: str,
    name: str | None,
    labels: Mapping[str, str] | None,
    wait: Durability,
    timeout_ns: int,
    max_pause_ns: int,
    automatic: bool,
    replicas: int = 0,
) -> Call[Progress | GroupCheckpoint]:
    if wait not in DURABILITIES:
        raise ValueError(f"wait is one of {', '.join(DURABILITIES)}, not {wait!r}")
    request = pb.CheckpointRequest(
        group=group,
        name=name or "",
        labels=labels or {},
        max_pause_ns=max_pause_ns,
        timeout_ns=timeout_ns,
        automatic=automatic,
        replicas=replicas,
        wait=wait,
    )

    def read(reply: pb.CheckpointResponse) -> Progress | GroupCheckpoint:
        step = _step(reply)
        if isinstance(step, GroupCheckpoint) and not _has_reached(step, wait):
            raise _not_in_time(step, wait)
        return step

    seconds = _OPERATION_SECONDS + (2 * timeout_ns + _WAIT_NS) / 1e9
    return Call("Checkpoint", request, read, seconds)


def wait_for(
    group: str, epoch: int, durability: Durability, timeout_ns: int | None
) -> Call[GroupCheckpoint]:
    """The checkpoint when it is that durable, or as it is after the time (None: a minute)."""
    wait_ns = _WAIT_NS if timeout_ns is None else max(timeout_ns, 1)
    request = pb.WaitCheckpointRequest(
        group=group, checkpoint=f"@{epoch}", durability=durability, timeout_ns=wait_ns
    )
    seconds = _QUICK_SECONDS + wait_ns / 1e9
    return Call("WaitCheckpoint", request, lambda reply: shown(reply.checkpoint), seconds)


def restore(group: str, name: str, *, check_only: bool = False) -> Call[GroupCheckpoint]:
    request = pb.RestoreRequest(group=group, checkpoint=name, check_only=check_only)
    return Call("Restore", request, _restored, _OPERATION_SECONDS)


def checkpoints(group: str | None) -> Call[list[GroupCheckpoint]]:
    request = pb.ListCheckpointsRequest(group=group or "")
    return Call("ListCheckpoints", request, lambda reply: [shown(c) for c in reply.checkpoints])


def find(group: str, name: str) -> Call[GroupCheckpoint]:
    request = pb.ShowCheckpointRequest(group=group, checkpoint=name)
    return Call("ShowCheckpoint", request, lambda reply: shown(reply.checkpoint))


def delete_checkpoint(group: str, name: str) -> Call[None]:
    request = pb.DeleteCheckpointRequest(group=group, checkpoint=name)
    return Call("DeleteCheckpoint", request, nothing, _OPERATION_SECONDS)


def pin(group: str, name: str, pinned: bool) -> Call[None]:
    request = pb.PinCheckpointRequest(group=group, checkpoint=name, pinned=pinned)
    return Call("PinCheckpoint", request, nothing)


def prune(group: str, retention: Retention, dry_run: bool) -> Call[list[GroupCheckpoint]]:
    request = pb.PruneRequest(
        group=group,
        keep_last=retention.keep_last,
        keep_within_ns=retention.keep_within_ns,
        dry_run=dry_run,
    )
    return Call(
        "Prune", request, lambda reply: [shown(c) for c in reply.checkpoints], _OPERATION_SECONDS
    )


def clone(
    group: str, name: str, new: str, members: Mapping[str, str] | None
) -> Call[GroupCheckpoint]:
    request = pb.CloneRequest(group=group, checkpoint=name, new_group=new, members=members or {})
    return Call("Clone", request, lambda reply: shown(reply.checkpoint), _COPY_SECONDS)


def export(group: str, name: str) -> Call[ArchivePiece]:
    request = pb.ExportRequest(group=group, checkpoint=name)
    return Call("Export", request, _piece, _COPY_SECONDS)


def import_(archive: Iterable[bytes], new: str | None) -> Call[GroupCheckpoint]:
    requests = (
        pb.ImportRequest(new_group=new or "", data=data[at : at + _MESSAGE_BYTES])
        for data in archive
        for at in range(0, len(data), _MESSAGE_BYTES)
    )
    return Call("Import", requests, lambda reply: shown(reply.checkpoint), _COPY_SECONDS)


def verify(group: str, name: str, any_copy: bool) -> Call[list[str]]:
    request = pb.VerifyCheckpointRequest(group=group, checkpoint=name, any_copy=any_copy)
    return Call("VerifyCheckpoint", request, lambda reply: list(reply.members), _VERIFY_SECONDS)


def members(group: str | None) -> Call[list[Member]]:
    request = pb.ListMembersRequest(group=group or "")
    return Call("ListMembers", request, lambda reply: [_member(m) for m in reply.members])


def detach(group: str, member: str) -> Call[None]:
    return Call("Detach", pb.DetachRequest(group=group, member=member), nothing)


def usage() -> Call[PoolUsage]:
    return Call("GetUsage", pb.GetUsageRequest(), _usage)


def watch(group: str | None) -> Call[Event]:
    return Call("Watch", pb.WatchRequest(group=group or ""), _event, timeout_seconds=None)


def nodes() -> Call[list[Node]]:
    request = pb.ListNodesRequest()
    return Call(
        "ListNodes", request, lambda reply: [Node(n.name, n.address, n.down) for n in reply.nodes]
    )


def declare_node_down(name: str, force: bool) -> Call[None]:
    request = pb.DeclareNodeDownRequest(name=name, force=force)
    return Call("DeclareNodeDown", request, nothing, _OPERATION_SECONDS)


def remove_node(name: str) -> Call[None]:
    return Call("RemoveNode", pb.RemoveNodeRequest(name=name), nothing)


def waiting(result: Result, ask: Callable[[Call[GroupCheckpoint]], GroupCheckpoint]) -> Result:
    """The result, whose checkpoints can be waited for by asking the service."""

    def bind(checkpoint: GroupCheckpoint) -> GroupCheckpoint:
        def promote(epoch: int, durability: Durability, timeout_ns: int | None) -> None:
            while True:
                reached = ask(wait_for(checkpoint.group, epoch, durability, timeout_ns))
                if _has_reached(reached, durability):
                    return
                if timeout_ns is not None:
                    raise _not_in_time(reached, durability)

        return replace(checkpoint, _promote=promote)

    if isinstance(result, GroupCheckpoint):
        return bind(result)  # type: ignore[return-value]
    if isinstance(result, list):
        return [  # type: ignore[return-value]
            bind(each) if isinstance(each, GroupCheckpoint) else each for each in result
        ]
    return result


def _has_reached(checkpoint: GroupCheckpoint, durability: Durability) -> bool:
    return DURABILITIES.index(checkpoint.durability) >= DURABILITIES.index(durability)


def _not_in_time(checkpoint: GroupCheckpoint, durability: Durability) -> TimeoutError:
    return TimeoutError(
        f"checkpoint {checkpoint.name} exists, but is not {durability} yet: "
        "the services go on working on it"
    )


def shown(message: pb.Checkpoint) -> GroupCheckpoint:
    """A checkpoint as the client gives it."""
    return GroupCheckpoint(
        name=message.name,
        epoch=message.epoch,
        created=_instant(message.created_ns),
        pause_ns=message.pause_ns,
        hook_ns=message.hook_ns,
        bytes_written=message.bytes_written,
        consistency="crash" if message.consistency == "crash" else "application",
        durability=_durability(message.durability),
        labels=dict(message.labels),
        parent=message.parent_epoch if message.HasField("parent_epoch") else None,
        pinned=message.pinned,
        automatic=message.automatic,
        members=tuple(
            GroupMemberCheckpoint(
                member=part.member,
                pause_ns=part.pause_ns,
                hook_ns=part.hook_ns,
                bytes_written=part.bytes_written,
                waited_ns=part.waited_ns,
                skew_ns=part.skew_ns,
                crash_only=part.crash_only,
                engine=_ENGINES.get(part.engine, "memory"),
                freeze_ns=part.freeze_ns,
                dump_ns=part.dump_ns,
                thaw_ns=part.thaw_ns,
                node=part.node,
                copies=tuple(part.copies),
            )
            for part in message.members
        ),
        group=message.group,
        replicas=message.replicas,
        head=message.head,
        held_ns=message.held_ns,
        pending=message.pending,
        restore_epoch=message.restore_epoch,
    )


def _durability(told: str) -> Durability:
    return next((known for known in DURABILITIES if known == told), "captured")


def _restored(reply: pb.RestoreResponse) -> GroupCheckpoint:
    return replace(
        shown(reply.checkpoint), awaited=tuple(reply.awaited), behind=tuple(reply.behind)
    )


def _admission(message: pb.AttachResponse) -> Admission:
    return Admission(
        pool=Path(message.pool),
        region=message.region,
        socket=message.socket,
        token=message.token,
        restore_epoch=message.restore_epoch,
        committed_epochs=frozenset(message.committed_epochs),
        head=shown(message.head) if message.HasField("head") else None,
        restore_pending=message.restore_pending,
        incarnation=message.incarnation,
    )


def _piece(message: pb.ExportResponse) -> ArchivePiece:
    return ArchivePiece(message.data, message.done_bytes, message.total_bytes)


def _step(message: pb.CheckpointResponse) -> Progress | GroupCheckpoint:
    if message.WhichOneof("what") == "checkpoint":
        return shown(message.checkpoint)
    return Progress(message.progress.epoch, message.progress.step)


def _member(message: pb.Member) -> Member:
    return Member(
        group=message.group,
        member=message.member,
        region=message.region,
        state=_STATES[message.state],
        on_loss=_ON_LOSS[message.on_loss],
        pid=message.pid or None,
        size_bytes=message.size_bytes,
        head_epoch=message.head_epoch if message.HasField("head_epoch") else None,
        engine=_ENGINES.get(message.engine, "memory"),
        node=message.node,
    )


def _usage(message: pb.GetUsageResponse) -> PoolUsage:
    return PoolUsage(
        pool=message.pool,
        size_bytes=message.pool_size_bytes,
        free_bytes=message.pool_free_bytes,
        regions=tuple(
            RegionShare(
                region=share.region,
                group=share.group,
                member=share.member,
                used_bytes=share.used_bytes,
                checkpoint_count=share.checkpoint_count,
                base_bytes=share.base_bytes,
                log_bytes=share.log_bytes,
                delta_bytes=share.delta_bytes,
                private_bytes=share.private_bytes,
                node=share.node,
            )
            for share in message.regions
        ),
        nodes=tuple(
            NodeUsage(
                node=each.node,
                pool=each.pool,
                size_bytes=each.pool_size_bytes,
                free_bytes=each.pool_free_bytes,
                unreachable=each.unreachable,
            )
            for each in message.nodes
        ),
    )


def _event(message: pb.WatchResponse) -> Event:
    return Event(
        at=_instant(message.at_ns),
        kind=message.kind,
        group=message.group,
        member=message.member,
        epoch=message.epoch,
        text=message.text,
        node=message.node,
    )


def nothing(_reply: Any) -> None:
    return None


def _instant(since_1970_ns: int) -> datetime:
    seconds, rest_ns = divmod(since_1970_ns, 10**9)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
