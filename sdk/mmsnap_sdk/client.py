"""The client of the node service, blocking; what its calls mean is in `calls`.

It speaks and translates errors. The service decides everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

import grpc

from mmsnap.rpc.addresses import remote_target
from mmsnap.rpc.failures import error_of
from mmsnap.rpc.v1 import mmsnap_pb2_grpc
from mmsnap_sdk import calls, schedule_calls
from mmsnap_sdk.calls import Call, waiting
from mmsnap_sdk.checkpoint import Durability
from mmsnap_sdk.connecting import OPTIONS, Heard, Hearing, credentials, find_address, ns_of
from mmsnap_sdk.request import retention
from mmsnap_sdk.service_records import (
    ArchivePiece,
    Event,
    GroupCheckpoint,
    Member,
    Node,
    PoolUsage,
    Progress,
    Schedule,
)

Result = TypeVar("Result")


class Client:
    """Asks the node service; usable from many threads, and as a context manager.

    Args:
        address: like "unix:///run/mmsnap/agent.sock", by default as `find_address` says; or like
            "tls://10.0.0.1:7443", with the certificates in the folder $MMSNAP_TLS.

    Every method raises AgentUnavailableError when the service can not be reached, and
    otherwise the errors of `mmsnap.errors` that are named; ValueError for what can not be
    a name, a label, a duration.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = find_address(address)
        remote = remote_target(self.address)
        if remote is None:
            self._channel = grpc.insecure_channel(self.address, options=OPTIONS)
        else:
            self._channel = grpc.secure_channel(remote, credentials(), options=OPTIONS)
        self._stub = mmsnap_pb2_grpc.AgentStub(self._channel)  # type: ignore[no-untyped-call]

    def checkpoint(
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
        """Takes a checkpoint of all members at one cut; returns when it is committed.

        Args:
            name: a DNS label; None for one made of time and epoch.
            timeout: for hooks and open updates, before the pause.
            max_pause: abort a cut whose pause would exceed it.
            automatic: pruning by policy may delete it; so it may when it has no name.
            replicas: copies on other nodes; 0: as many as the service makes by itself.
            wait: "replicated" waits for them, `timeout` long or a minute.
            progress: called with each step in which no member stands still.

        Raises:
            AbortedError, QuiesceTimeoutError, PauseExceededError, PoolFullError: it was
                aborted, the members run on.
            FileExistsError: the name is taken. NotFoundError: there is no such group.
            UnsupportedError: `wait` is more than the service can promise.
            TimeoutError: it exists, but was not replicated in time.
        """
        budgets = ns_of(timeout), ns_of(max_pause)
        call = calls.checkpoint(group, name, labels, wait, *budgets, automatic, replicas)
        return self.take(call, progress)

    def restore(self, group: str, name: str = "latest") -> GroupCheckpoint:
        """Brings all members back to a checkpoint, by name, "latest" or "@EPOCH".

        When unmodified programs have to be started first, nothing happens yet: `awaited` of the
        result names them.

        Raises AbortedError when the members run on as before, NotFoundError.
        """
        return self.ask(calls.restore(group, name))

    def check_restore(self, group: str, name: str = "latest") -> None:
        """Asks whether the group's unmodified programs could be restored; changes nothing.

        Raises AbortedError with the reasons when not, NotFoundError.
        """
        self.ask(calls.restore(group, name, check_only=True))

    def checkpoints(self, group: str | None = None) -> list[GroupCheckpoint]:
        """The checkpoints of a group or of all groups, ascending by epoch; NotFoundError."""
        return self.ask(calls.checkpoints(group))

    def find(self, group: str, name: str = "latest") -> GroupCheckpoint:
        """One checkpoint by name, "latest" (the head) or "@EPOCH"; NotFoundError."""
        return self.ask(calls.find(group, name))

    def delete_checkpoint(self, group: str, name: str) -> None:
        """Deletes a checkpoint.

        Raises NotFoundError; ValueError for the head, for what a restore waits for, and for what
        is pinned.
        """
        self.ask(calls.delete_checkpoint(group, name))

    def pin(self, group: str, name: str) -> None:
        """Keeps a checkpoint from pruning; NotFoundError."""
        self.ask(calls.pin(group, name, True))

    def unpin(self, group: str, name: str) -> None:
        """Lets pruning have a checkpoint again; NotFoundError."""
        self.ask(calls.pin(group, name, False))

    def prune(
        self,
        group: str,
        *,
        keep_last: int | None = None,
        keep_within: timedelta | str | None = None,
        dry_run: bool = False,
    ) -> list[GroupCheckpoint]:
        """Deletes automatic checkpoints that no rule keeps, on all nodes; returns them.

        Named and pinned ones, the head, and what a restore waits for always stay.

        Args:
            keep_last: keeps so many of the newest automatic ones.
            keep_within: keeps what is younger, like "7d", by the clocks of the nodes.
            dry_run: deletes nothing, only tells.

        Raises:
            ValueError: neither rule was given.
            NotFoundError: there is no such group.
            AbortedError: no node with members of the group gave its turn; nothing was deleted.
        """
        return self.ask(calls.prune(group, retention(keep_last, keep_within), dry_run))

    def set_schedule(
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
        """Has the service checkpoint a group again and again, whatever was set before.

        Its runs never overlap, and what is missed is not made up for. After each, checkpoints that
        a schedule of the group made go when no rule keeps them; all others stay, and so do the
        head and pinned ones.

        Args:
            every: 50 ms at least, a day at most.
            keep_last, keep_within: what stays; without any, the newest ten.
            wait, timeout, max_pause, replicas, labels: as for `checkpoint`, of each one.
            suspended: it is kept, but nothing is done until it is set without.

        Raises NotFoundError when there is no such group, UnsupportedError when `wait` or
        `replicas` is more than the service can promise.
        """
        budgets = timeout, max_pause
        kept = keep_last, keep_within
        call = schedule_calls.set_schedule(
            group, every, *kept, wait, *budgets, replicas, labels, suspended
        )
        return self.ask(call)

    def schedules(self, group: str | None = None) -> list[Schedule]:
        """That of a group, if it has one, or those of all groups; NotFoundError: no such group."""
        return self.ask(schedule_calls.schedules(group))

    def remove_schedule(self, group: str) -> None:
        """The group is not checkpointed by itself any more; what was made stays. NotFoundError."""
        self.ask(schedule_calls.remove_schedule(group))

    def clone(
        self, group: str, name: str, new: str, members: Mapping[str, str] | None = None
    ) -> GroupCheckpoint:
        """Makes group `new`, which begins as a checkpoint of `group` was; its first checkpoint.

        Args:
            members: what members of the group are called in the new one, if not as before.

        Memory members show it when they attach; unmodified programs are restored when all of
        them have been started under their names.

        Raises NotFoundError, ValueError when two members would have one name, FileExistsError when
        there is a group of that name, PoolFullError.
        """
        return self.ask(calls.clone(group, name, new, members))

    def export(self, group: str, name: str = "latest") -> Iterator[ArchivePiece]:
        """A checkpoint as an archive, in pieces to be written one after the other.

        It holds the members' memory: keep it as you keep their secrets. NotFoundError,
        CorruptionError.
        """
        return self._stream(calls.export(group, name))

    def import_(self, archive: Iterable[bytes], new: str | None = None) -> GroupCheckpoint:
        """Makes a group of an archive, by the name it has there or `new`; its checkpoint.

        Raises CorruptionError, FileExistsError when there is a group of that name, PoolFullError.
        """
        return self.ask(calls.import_(archive, new))

    def verify(self, group: str, name: str = "latest", *, any_copy: bool = False) -> list[str]:
        """Reads all that a checkpoint stands on; the members whose part is whole.

        Args:
            any_copy: only what a restore takes is read: the copy where the member is, or any good
                one when there is none; else every copy on every node is.

        Raises CorruptionError, which names what is damaged, and NotFoundError;
        AgentUnavailableError also when a node with a copy does not answer.
        """
        return self.ask(calls.verify(group, name, any_copy))

    def members(self, group: str | None = None) -> list[Member]:
        """The members of a group or of all groups, by name; NotFoundError."""
        return self.ask(calls.members(group))

    def detach(self, group: str, member: str) -> None:
        """Drops a member that is not attached from its group; NotFoundError, InUseError."""
        self.ask(calls.detach(group, member))

    def nodes(self) -> list[Node]:
        """The nodes of the service's cluster; none when it is alone."""
        return self.ask(calls.nodes())

    def declare_node_down(self, name: str, *, force: bool = False) -> None:
        """Vouches that a node does not run, so that its members may be restored elsewhere.

        Raises:
            InUseError: it answers. NotFoundError.
            AbortedError: nothing proves it. `force` says that you know: if its members still
                ran, there would be two of each until that node is back.
        """
        self.ask(calls.declare_node_down(name, force))

    def remove_node(self, name: str) -> None:
        """A node that is down is gone for good: its copies do not count, others are made."""
        self.ask(calls.remove_node(name))

    def usage(self) -> PoolUsage:
        """What the medium of every node's pool has, and what each region takes of it.

        A node that does not answer is named as unreachable, with the reason.
        """
        return self.ask(calls.usage())

    def watch(self, group: str | None = None) -> Iterator[Event]:
        """What happens from now on, in a group or in all; ends when the iterator is closed.

        On all nodes: one that is lost from sight, and what happens there with it, is told.

        Raises AbortedError when it was not read quickly enough.
        """
        return self._stream(calls.watch(group))

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, call: Call[Result]) -> Result:
        """Makes one call of `calls`."""
        try:
            reply = getattr(self._stub, call.method)(call.request, timeout=call.timeout_seconds)
        except grpc.RpcError as failure:
            raise error_of(failure, self.address) from None
        return waiting(call.read(reply), self.ask)

    def take(
        self, call: Call[Progress | GroupCheckpoint], progress: Heard | None = None
    ) -> GroupCheckpoint:
        """Makes a `calls.checkpoint`; returns when it is committed."""
        hear = Hearing(progress)
        for step in self._stream(call):
            hear(step)
        return hear.committed

    def _stream(self, call: Call[Result]) -> Iterator[Result]:
        # Outside of the generator: the call begins now, not when the first answer is asked for.
        method = getattr(self._stub, call.method)
        return self._read(method(call.request, timeout=call.timeout_seconds), call)

    def _read(self, replies: Any, call: Call[Result]) -> Iterator[Result]:
        try:
            for reply in replies:
                yield waiting(call.read(reply), self.ask)
        except grpc.RpcError as failure:
            raise error_of(failure, self.address) from None
        finally:
            replies.cancel()
