"""The client of the node service for asyncio, with the same names as coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

import grpc

from mmsnap.errors import AgentUnavailableError
from mmsnap.rpc.addresses import remote_target
from mmsnap.rpc.failures import error_of
from mmsnap.rpc.v1 import mmsnap_pb2_grpc
from mmsnap_sdk import calls, schedule_calls
from mmsnap_sdk.calls import Call, waiting
from mmsnap_sdk.checkpoint import Durability
from mmsnap_sdk.client import Client
from mmsnap_sdk.connecting import OPTIONS, Heard, Hearing, credentials, find_address, ns_of
from mmsnap_sdk.request import retention
from mmsnap_sdk.service_records import (
    ArchivePiece,
    Event,
    GroupCheckpoint,
    Member,
    Node,
    PoolUsage,
    Schedule,
)

Result = TypeVar("Result")


class AsyncClient:
    """`Client` with the same names as coroutines; of the event loop that it is used in first.

    Args:
        address: see `Client`.
        certificates: for an address of tls://, instead of those in the folder $MMSNAP_TLS.
    """

    def __init__(
        self, address: str | None = None, certificates: grpc.ChannelCredentials | None = None
    ) -> None:
        self.address = find_address(address)
        self._certificates = certificates
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None

    async def checkpoint(
        self,
        group: str,
        name: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        wait: Durability = "captured",
        timeout: timedelta | str | None = None,
        max_pause: timedelta | str | None = None,
        automatic: bool = False,
        replicas: int = 0,
        progress: Heard | None = None,
    ) -> GroupCheckpoint:
        """See `Client.checkpoint`."""
        budgets = ns_of(timeout), ns_of(max_pause)
        call = calls.checkpoint(group, name, labels, wait, *budgets, automatic, replicas)
        hear = Hearing(progress)
        async for step in self._stream(call):
            hear(step)
        return hear.committed

    async def restore(self, group: str, name: str = "latest") -> GroupCheckpoint:
        """See `Client.restore`."""
        return await self.ask(calls.restore(group, name))

    async def check_restore(self, group: str, name: str = "latest") -> None:
        """See `Client.check_restore`."""
        await self.ask(calls.restore(group, name, check_only=True))

    async def checkpoints(self, group: str | None = None) -> list[GroupCheckpoint]:
        """See `Client.checkpoints`."""
        return await self.ask(calls.checkpoints(group))

    async def find(self, group: str, name: str = "latest") -> GroupCheckpoint:
        """See `Client.find`."""
        return await self.ask(calls.find(group, name))

    async def delete_checkpoint(self, group: str, name: str) -> None:
        """See `Client.delete_checkpoint`."""
        await self.ask(calls.delete_checkpoint(group, name))

    async def pin(self, group: str, name: str) -> None:
        """See `Client.pin`."""
        await self.ask(calls.pin(group, name, True))

    async def unpin(self, group: str, name: str) -> None:
        """See `Client.unpin`."""
        await self.ask(calls.pin(group, name, False))

    async def prune(
        self,
        group: str,
        *,
        keep_last: int | None = None,
        keep_within: timedelta | str | None = None,
        dry_run: bool = False,
    ) -> list[GroupCheckpoint]:
        """See `Client.prune`."""
        return await self.ask(calls.prune(group, retention(keep_last, keep_within), dry_run))

    async def set_schedule(
        self,
        group: str,
        *,
        every: timedelta | str,
        keep_last: int | None = None,
        keep_within: timedelta | str | None = None,
        wait: Durability = "captured",
        timeout: timedelta | str | None = None,
        max_pause: timedelta | str | None = None,
        replicas: int = 0,
        labels: Mapping[str, str] | None = None,
        suspended: bool = False,
    ) -> Schedule:
        """See `Client.set_schedule`."""
        budgets = timeout, max_pause
        kept = keep_last, keep_within
        call = schedule_calls.set_schedule(
            group, every, *kept, wait, *budgets, replicas, labels, suspended
        )
        return await self.ask(call)

    async def schedules(self, group: str | None = None) -> list[Schedule]:
        """See `Client.schedules`."""
        return await self.ask(schedule_calls.schedules(group))

    async def remove_schedule(self, group: str) -> None:
        """See `Client.remove_schedule`."""
        await self.ask(schedule_calls.remove_schedule(group))

    async def clone(
        self, group: str, name: str, new: str, members: Mapping[str, str] | None = None
    ) -> GroupCheckpoint:
        """See `Client.clone`."""
        return await self.ask(calls.clone(group, name, new, members))

    def export(self, group: str, name: str = "latest") -> AsyncIterator[ArchivePiece]:
        """See `Client.export`."""
        return self._stream(calls.export(group, name))

    async def import_(self, archive: Iterable[bytes], new: str | None = None) -> GroupCheckpoint:
        """See `Client.import_`."""
        return await self.ask(calls.import_(archive, new))

    async def verify(
        self, group: str, name: str = "latest", *, any_copy: bool = False
    ) -> list[str]:
        """See `Client.verify`."""
        return await self.ask(calls.verify(group, name, any_copy))

    async def members(self, group: str | None = None) -> list[Member]:
        """See `Client.members`."""
        return await self.ask(calls.members(group))

    async def detach(self, group: str, member: str) -> None:
        """See `Client.detach`."""
        await self.ask(calls.detach(group, member))

    async def nodes(self) -> list[Node]:
        """See `Client.nodes`."""
        return await self.ask(calls.nodes())

    async def declare_node_down(self, name: str, *, force: bool = False) -> None:
        """See `Client.declare_node_down`."""
        await self.ask(calls.declare_node_down(name, force))

    async def remove_node(self, name: str) -> None:
        """See `Client.remove_node`."""
        await self.ask(calls.remove_node(name))

    async def usage(self) -> PoolUsage:
        """See `Client.usage`."""
        return await self.ask(calls.usage())

    def watch(self, group: str | None = None) -> AsyncIterator[Event]:
        """See `Client.watch`."""
        return self._stream(calls.watch(group))

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _method(self, name: str) -> Any:
        # gRPC binds a channel to the loop that runs when it is made.
        if self._channel is None:
            remote = remote_target(self.address)
            if remote is None:
                self._channel = grpc.aio.insecure_channel(self.address, options=OPTIONS)
            else:
                known = self._certificates or credentials()
                self._channel = grpc.aio.secure_channel(remote, known, options=OPTIONS)
            self._stub = mmsnap_pb2_grpc.AgentStub(self._channel)  # type: ignore[no-untyped-call]
        return getattr(self._stub, name)

    async def ask(self, call: Call[Result]) -> Result:
        """Makes one call of `calls`."""
        try:
            reply = await self._method(call.method)(call.request, timeout=call.timeout_seconds)
        except grpc.RpcError as failure:
            raise error_of(failure, self.address) from None
        except asyncio.CancelledError:
            if _is_wanted_to_end():
                raise
            raise self._closed() from None
        return waiting(call.read(reply), self._ask_anew)

    def _closed(self) -> AgentUnavailableError:
        """gRPC cancels the calls of a channel that is closed, as if the caller were to end."""
        return AgentUnavailableError(
            f"the connection to {self.address} was closed", subject=self.address
        )

    def _ask_anew(self, call: Call[Result]) -> Result:
        """For `Checkpoint.wait`, which blocks."""
        with Client(self.address) as client:
            return client.ask(call)

    def _stream(self, call: Call[Result]) -> AsyncIterator[Result]:
        method = self._method(call.method)
        return self._read(method(call.request, timeout=call.timeout_seconds), call)

    async def _read(self, replies: Any, call: Call[Result]) -> AsyncIterator[Result]:
        try:
            async for reply in replies:
                yield waiting(call.read(reply), self._ask_anew)
        except grpc.RpcError as failure:
            raise error_of(failure, self.address) from None
        except asyncio.CancelledError:
            if _is_wanted_to_end():
                raise
            raise self._closed() from None
        finally:
            replies.cancel()


def _is_wanted_to_end() -> bool:
    """Whether somebody cancelled the task, and not only what it waits for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
