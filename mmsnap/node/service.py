"""The gRPC methods: check the request, ask the groups or the catalog, answer.

What `failures` knows leaves as a rich status; nothing is decided
here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

from mmsnap.catalog import GroupCheckpoint, NoMajorityError
from mmsnap.errors import UnsupportedError
from mmsnap.node import bounds, copies
from mmsnap.node.absence import declare_down, remove_node
from mmsnap.node.admission import Application
from mmsnap.node.callers import Callers, Context
from mmsnap.node.cluster import Cluster
from mmsnap.node.desk import CheckpointOrder
from mmsnap.node.groups import Groups
from mmsnap.node.methods import streaming, unary
from mmsnap.node.replies import checkpoint_reply, engine_of, event_reply, member_reply, on_loss_of
from mmsnap.node.set_schedules import list_schedules, remove_schedule, set_schedule
from mmsnap.node.survey import events_everywhere, usage_everywhere
from mmsnap.node.upkeep import (
    delete_checkpoint,
    detach,
    pin_checkpoint,
    prune_checkpoints,
    verify_checkpoint,
)
from mmsnap.retention import Retention
from mmsnap.rpc.v1 import mmsnap_pb2 as pb
from mmsnap.rpc.v1 import mmsnap_pb2_grpc
from mmsnap.store import region_name

log = logging.getLogger(__name__)

_DURABILITY_SECONDS: Final = 60.0


class AgentService(mmsnap_pb2_grpc.AgentServicer):
    """mmsnap.v1.Agent, see mmsnap.proto."""

    def __init__(self, groups: Groups, callers: Callers, cluster: Cluster | None = None) -> None:
        """For the callers of one door; several may serve the same groups."""
        self._groups = groups
        self._cluster = cluster
        self._callers = callers
        self._desk = groups.desk
        self._ledger = groups.desk.ledger

    def require(self, method: str, request: Any, context: Context) -> None:
        """PermissionError when the caller may not."""
        self._callers.require(method, request, context)

    # ---- members ----

    @unary
    async def Attach(self, request: pb.AttachRequest) -> pb.AttachResponse:  # noqa: N802
        group = bounds.check_label("group", request.group)
        engine = engine_of(request.engine)
        application = Application(
            member=bounds.check_label("member", request.member),
            pid=await self._callers.process_of(request.member, engine, request.pid),
            size_bytes=bounds.check_size_bytes(request.size_bytes),
            on_loss=on_loss_of(request.on_loss),
            resuming=request.resuming,
            followed_restore_epoch=request.followed_restore_epoch,
            engine=engine,
            incarnation=request.incarnation,
        )
        await self._callers.make_way(self._groups.group(group), application.member, engine)
        admission = await asyncio.shield(self._groups.run(self._groups.attach(group, application)))
        head = admission.head
        region = region_name(group, application.member)
        pool, socket = await self._callers.admit(region)
        return pb.AttachResponse(
            pool=pool,
            region=region,
            socket=socket,
            token=admission.seat.token,
            restore_epoch=admission.restore_epoch,
            committed_epochs=admission.committed_epochs,
            restore_pending=admission.restore_pending,
            incarnation=admission.seat.member.incarnation,
            head=None if head is None else checkpoint_reply(head, head.epoch),
        )

    @unary
    async def Detach(self, request: pb.DetachRequest) -> pb.DetachResponse:  # noqa: N802
        group = self._groups.group(bounds.check_label("group", request.group))
        await detach(group, bounds.check_label("member", request.member))
        return pb.DetachResponse()

    @unary
    async def ListMembers(  # noqa: N802
        self, request: pb.ListMembersRequest
    ) -> pb.ListMembersResponse:
        wanted = bounds.check_optional_group(request.group)
        heads = await self._heads(wanted)
        rows = await self._ledger.ask(self._ledger.catalog.members, wanted)
        return pb.ListMembersResponse(
            members=[
                member_reply(
                    row,
                    self._groups.group(row.group).seats.get(row.name),
                    heads[row.group],
                    node="" if self._desk.mesh is None else self._desk.mesh.name,
                )
                for row in rows
            ]
        )

    # ---- checkpoints ----

    @streaming
    async def Checkpoint(  # noqa: N802
        self, request: pb.CheckpointRequest
    ) -> AsyncIterator[pb.CheckpointResponse]:
        group = self._groups.group(await self._known(request.group))
        waited_for = bounds.check_durability(request.wait)
        order = CheckpointOrder(
            name=bounds.check_new_name(request.name),
            labels=bounds.check_labels(request.labels),
            max_pause_ns=bounds.check_duration_ns("max_pause", request.max_pause_ns),
            timeout_ns=bounds.check_duration_ns("timeout", request.timeout_ns),
            automatic=request.automatic or not request.name,
            replicas=self._replicas(request.replicas, waited_for),
        )
        steps: asyncio.Queue[pb.Progress | None] = asyncio.Queue()

        def progress(epoch: int, step: str) -> None:
            steps.put_nowait(pb.Progress(epoch=epoch, step=step))

        work = self._groups.run(group.checkpoint(order, progress))
        work.add_done_callback(lambda _: steps.put_nowait(None))
        while (step := await steps.get()) is not None:
            yield pb.CheckpointResponse(progress=step)
        committed: GroupCheckpoint = work.result()
        try:
            reached = await self._wait(committed, waited_for, request.timeout_ns)
        except NoMajorityError:
            # It is committed, whatever can be looked up of it now.
            reached = checkpoint_reply(committed, committed.epoch)
        yield pb.CheckpointResponse(checkpoint=reached)

    @unary
    async def Restore(self, request: pb.RestoreRequest) -> pb.RestoreResponse:  # noqa: N802
        name = bounds.check_reference(request.checkpoint)
        if request.check_only:
            work = self._groups.group(await self._known(request.group)).check_restore(name)
        else:
            work = self._groups.restore(bounds.check_label("group", request.group), name)
        restored = await asyncio.shield(self._groups.run(work))
        return pb.RestoreResponse(
            checkpoint=checkpoint_reply(restored.checkpoint, restored.head_epoch),
            behind=restored.behind,
            awaited=restored.awaited,
        )

    @unary
    async def ListCheckpoints(  # noqa: N802
        self, request: pb.ListCheckpointsRequest
    ) -> pb.ListCheckpointsResponse:
        wanted = bounds.check_optional_group(request.group)
        heads = await self._heads(wanted)
        catalog = self._ledger.catalog
        found = await self._ledger.ask(catalog.checkpoints, wanted)
        copies = {(c.group, c.epoch): c for c in await self._ledger.ask(catalog.copies, wanted)}
        nodes = await self._ledger.ask(catalog.nodes)
        return pb.ListCheckpointsResponse(
            checkpoints=[
                checkpoint_reply(one, heads[one.group], copies.get((one.group, one.epoch)), nodes)
                for one in found
            ]
        )

    @unary
    async def ShowCheckpoint(  # noqa: N802
        self, request: pb.ShowCheckpointRequest
    ) -> pb.ShowCheckpointResponse:
        try:
            _, found = await self._find(request.group, request.checkpoint)
            return pb.ShowCheckpointResponse(checkpoint=await self._shown(found))
        except NoMajorityError:
            # Whoever restores without etcd looks at it first.
            known = None if self._desk.mirror is None else self._desk.mirror.get(request.group)
            if known is None:
                raise
            found = known.find(bounds.check_reference(request.checkpoint))
            shown = checkpoint_reply(found, known.record.head_epoch, group=known.record)
            return pb.ShowCheckpointResponse(checkpoint=shown)

    @unary
    async def WaitCheckpoint(  # noqa: N802
        self, request: pb.WaitCheckpointRequest
    ) -> pb.WaitCheckpointResponse:
        _, found = await self._find(request.group, request.checkpoint)
        durability = bounds.check_durability(request.durability)
        reached = await self._wait(found, durability, request.timeout_ns)
        return pb.WaitCheckpointResponse(checkpoint=reached)

    @unary
    async def DeleteCheckpoint(  # noqa: N802
        self, request: pb.DeleteCheckpointRequest
    ) -> pb.DeleteCheckpointResponse:
        group = self._groups.group(await self._known(request.group))
        name = bounds.check_reference(request.checkpoint)
        await asyncio.shield(self._groups.run(delete_checkpoint(group, name)))
        return pb.DeleteCheckpointResponse()

    @unary
    async def PinCheckpoint(  # noqa: N802
        self, request: pb.PinCheckpointRequest
    ) -> pb.PinCheckpointResponse:
        group = self._groups.group(await self._known(request.group))
        name = bounds.check_reference(request.checkpoint)
        await pin_checkpoint(group, name, request.pinned)
        return pb.PinCheckpointResponse()

    @unary
    async def Prune(self, request: pb.PruneRequest) -> pb.PruneResponse:  # noqa: N802
        group = self._groups.group(await self._known(request.group))
        retention = Retention(
            request.keep_last if request.HasField("keep_last") else None,
            request.keep_within_ns if request.HasField("keep_within_ns") else None,
        )
        work = prune_checkpoints(group, retention, dry_run=request.dry_run)
        gone = await asyncio.shield(self._groups.run(work))
        # The head is never among them.
        return pb.PruneResponse(checkpoints=[checkpoint_reply(each, None) for each in gone])

    @unary
    async def VerifyCheckpoint(  # noqa: N802
        self, request: pb.VerifyCheckpointRequest
    ) -> pb.VerifyCheckpointResponse:
        group = self._groups.group(await self._known(request.group))
        name = bounds.check_reference(request.checkpoint)
        members = await verify_checkpoint(group, name, any_copy=request.any_copy)
        return pb.VerifyCheckpointResponse(members=members)

    # ---- copies ----

    @unary
    async def Clone(self, request: pb.CloneRequest) -> pb.CloneResponse:  # noqa: N802
        group = self._groups.group(await self._known(request.group))
        name = bounds.check_reference(request.checkpoint)
        new = bounds.check_label("group", request.new_group)
        members = bounds.check_renaming(request.members)
        cloning = copies.clone(group, name, new, members)
        made = await asyncio.shield(self._groups.run(cloning))
        return pb.CloneResponse(checkpoint=checkpoint_reply(made, made.epoch))

    @streaming
    async def Export(  # noqa: N802
        self, request: pb.ExportRequest
    ) -> AsyncIterator[pb.ExportResponse]:
        group = self._groups.group(await self._known(request.group))
        name = bounds.check_reference(request.checkpoint)
        async for data, done_bytes, total_bytes in copies.export(group, name):
            yield pb.ExportResponse(data=data, done_bytes=done_bytes, total_bytes=total_bytes)

    @unary
    async def Import(  # noqa: N802
        self, requests: AsyncIterator[pb.ImportRequest]
    ) -> pb.ImportResponse:
        first = await anext(requests, pb.ImportRequest())
        new = bounds.check_optional_group(first.new_group) or ""

        async def data() -> AsyncIterator[bytes]:
            yield first.data
            async for request in requests:
                yield request.data

        made = await copies.import_(self._desk, data(), new)
        return pb.ImportResponse(checkpoint=checkpoint_reply(made, made.epoch))

    # ---- nodes ----

    @unary
    async def ListNodes(self, request: pb.ListNodesRequest) -> pb.ListNodesResponse:  # noqa: N802
        nodes = await self._ledger.ask(self._ledger.catalog.nodes)
        return pb.ListNodesResponse(
            nodes=[pb.Node(name=n.name, address=n.address, down=n.down) for n in nodes.values()]
        )

    @unary
    async def DeclareNodeDown(  # noqa: N802
        self, request: pb.DeclareNodeDownRequest
    ) -> pb.DeclareNodeDownResponse:
        name = bounds.check_node(request.name)
        command = self._cluster.fence_command if self._cluster is not None else ()
        work = declare_down(self._groups, name, force=request.force, fence_command=command)
        await asyncio.shield(self._groups.run(work))
        return pb.DeclareNodeDownResponse()

    @unary
    async def RemoveNode(self, request: pb.RemoveNodeRequest) -> pb.RemoveNodeResponse:  # noqa: N802
        name = bounds.check_node(request.name)
        await asyncio.shield(self._groups.run(remove_node(self._groups, name)))
        return pb.RemoveNodeResponse()

    # ---- the pool ----

    @unary
    async def GetUsage(self, request: pb.GetUsageRequest) -> pb.GetUsageResponse:  # noqa: N802
        return await usage_everywhere(self._groups)

    @streaming
    async def Watch(self, request: pb.WatchRequest) -> AsyncIterator[pb.WatchResponse]:  # noqa: N802
        wanted = bounds.check_optional_group(request.group)
        here = "" if self._desk.mesh is None else self._desk.mesh.name
        async for event in events_everywhere(self._desk, wanted or ""):
            yield event_reply(event, here)

    # ---- schedules ----

    @unary
    async def SetSchedule(  # noqa: N802
        self, request: pb.SetScheduleRequest
    ) -> pb.SetScheduleResponse:
        asked = request.schedule
        replicas = self._replicas(asked.replicas, asked.wait)
        kept = await set_schedule(self._desk, await self._known(asked.group), asked, replicas)
        return pb.SetScheduleResponse(schedule=kept)

    @unary
    async def ListSchedules(  # noqa: N802
        self, request: pb.ListSchedulesRequest
    ) -> pb.ListSchedulesResponse:
        wanted = bounds.check_optional_group(request.group)
        if wanted is not None:
            await self._known(wanted)
        return pb.ListSchedulesResponse(schedules=await list_schedules(self._desk, wanted))

    @unary
    async def RemoveSchedule(  # noqa: N802
        self, request: pb.RemoveScheduleRequest
    ) -> pb.RemoveScheduleResponse:
        await remove_schedule(self._desk, await self._known(request.group))
        return pb.RemoveScheduleResponse()

    # ---- what several need ----

    def _replicas(self, asked: int, waited_for: str) -> int:
        """How many copies a checkpoint is to have, when so many are asked for."""
        if self._cluster is None:
            if asked or waited_for == "replicated":
                raise UnsupportedError(
                    "this service is alone: there is no node to keep a copy",
                    hint="several nodes need `mmsnap agent --node … --etcd …`",
                )
            return 0
        least = 1 if waited_for == "replicated" else 0
        return max(bounds.check_replicas(asked) or self._cluster.replicas, least)

    async def _wait(
        self, checkpoint: GroupCheckpoint, durability: str, timeout_ns: int
    ) -> pb.Checkpoint:
        """The checkpoint when it is that durable, or as it is when the time is over."""
        if durability == "replicated":
            if self._desk.replicas is None or not checkpoint.replicas:
                raise UnsupportedError(
                    f"checkpoint {checkpoint.name} was taken without replicas",
                    subject=checkpoint.name,
                    hint="take one with --replicas N, or --wait replicated",
                )
            seconds = timeout_ns / 1e9 or _DURABILITY_SECONDS
            with suppress(TimeoutError):
                await self._desk.replicas.await_durability(
                    checkpoint.group, checkpoint.epoch, durability, seconds
                )
        return await self._shown(checkpoint)

    async def _shown(self, checkpoint: GroupCheckpoint) -> pb.Checkpoint:
        catalog = self._ledger.catalog
        group = await self._ledger.ask(catalog.group, checkpoint.group)
        copies = await self._ledger.ask(catalog.copies_of, checkpoint.group, checkpoint.epoch)
        nodes = await self._ledger.ask(catalog.nodes)
        return checkpoint_reply(checkpoint, group.head_epoch, copies, nodes, group)

    async def _known(self, name: str) -> str:
        """A group that the catalog knows; NotFoundError."""
        bounds.check_label("group", name)
        return (await self._ledger.ask(self._ledger.catalog.group, name)).name

    async def _find(self, group: str, checkpoint: str) -> tuple[str, GroupCheckpoint]:
        known = await self._known(group)
        name = bounds.check_reference(checkpoint)
        return known, await self._ledger.ask(self._ledger.catalog.find, known, name)

    async def _heads(self, wanted: str | None) -> dict[str, int | None]:
        if wanted is not None:
            await self._known(wanted)
        groups = await self._ledger.ask(self._ledger.catalog.groups)
        return {group.name: group.head_epoch for group in groups}
