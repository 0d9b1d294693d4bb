"""What the catalog forgot leaves the pools of all nodes: told, down, or asked by a stranger."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from mmsnap.catalog import EngineKind, GroupCheckpoint, MemberFigures
from mmsnap.catalog.etcd import Etcd
from mmsnap.catalog.etcd_catalog import EtcdCatalog
from mmsnap.errors import FencedError
from mmsnap.memory import Region
from mmsnap.process.manifest import member_folder
from mmsnap.rpc.v1 import peer_pb2, peer_pb2_grpc
from tests.nodes.site import Bank, Cluster, Node, await_true, bank, cluster
from tests.nodes.test_security import channel_of


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


def ok(node: Node, *words: str) -> str:
    told = node.mmsnap(*words)
    assert told.returncode == 0, f"{words}: {told.stderr}"
    return told.stdout


def listed(node: Node) -> list[int]:
    rows: list[dict[str, Any]] = json.loads(ok(node, "checkpoint", "list", "bank", "-o", "json"))
    return [row["epoch"] for row in rows]


def automatic(node: Node, count: int) -> list[int]:
    for _ in range(count):
        ok(node, "checkpoint", "create", "bank")
    return listed(node)


def kept_by(node: Node, number: int) -> list[int]:
    """What the region of a member has."""
    region = Region.open(node.pool, f"bank.m{number}", mode="r")
    try:
        return [record.epoch for record in region.checkpoints()]
    finally:
        region.close()


def await_bytes(members: Bank, epochs: list[int]) -> None:
    for number in range(len(members.members)):
        node = members.node_of(number)
        await_true(
            lambda n=number, at=node: kept_by(at, n) == epochs,
            f"m{number} of {node.name} has {epochs} and nothing else",
        )


def catalog_of(nodes: Cluster) -> EtcdCatalog:
    return EtcdCatalog(Etcd(nodes.etcd.endpoints))


def forget(nodes: Cluster, node: Node) -> None:
    """Tells a node as another one does."""
    sender = next(other for other in nodes.nodes if other is not node)
    with channel_of(sender.tls, node) as channel:
        peer_pb2_grpc.PeerStub(channel).Forget(peer_pb2.ForgetRequest(group="bank"), timeout=10)


def test_pins_count_and_bytes_follow_on_all_nodes_whichever_is_asked(nodes: Cluster) -> None:
    n1, n2, n3 = nodes.nodes
    with bank(nodes.nodes[:2], 4) as members:  # the third has no member
        pinned, *others, head = automatic(n1, 5)[-5:]
        ok(n3, "checkpoint", "pin", "bank", f"@{pinned}")
        told = json.loads(
            ok(n3, "checkpoint", "prune", "bank", "--keep-last", "1", "--dry-run", "-o", "json")
        )
        assert set(others) <= {row["epoch"] for row in told}
        assert listed(n2)[-5:] == [pinned, *others, head], "a dry run deletes nothing"
        ok(n3, "checkpoint", "prune", "bank", "--keep-last", "1", "--yes")
        assert listed(n1) == [pinned, head]
        await_bytes(members, [pinned, head])
        ok(n2, "checkpoint", "unpin", "bank", f"@{pinned}")
        ok(n1, "checkpoint", "delete", "bank", f"@{pinned}", "--yes")
        await_bytes(members, [head])
        members.check(head)
        assert members.all_run()


@pytest.mark.timeout(240)
def test_a_node_that_was_down_removes_the_bytes_when_it_is_back(nodes: Cluster) -> None:
    n1, n2, _ = nodes.nodes
    with bank(nodes.nodes, 3) as members:
        *old, head = automatic(n1, 4)
        rows = json.loads(ok(n2, "ps", "bank", "-o", "json"))
        n2.kill()
        os.kill(next(row["pid"] for row in rows if row["member"] == "m1"), signal.SIGKILL)
        members.members["m1"].wait()
        ok(n1, "checkpoint", "prune", "bank", "--keep-last", "1", "--yes")
        assert listed(n1) == [head]
        assert set(old) <= set(kept_by(n2, 1)), "nobody is there to remove them"
        n2.start()
        await_bytes(members, [head])
        members.start(1)
        await_true(lambda: "m1" in members.attached(), "m1 is back")
        members.check(head)


def test_a_node_without_members_prunes_while_one_with_members_is_down(nodes: Cluster) -> None:
    n1, n2, n3 = nodes.nodes
    with bank([n1, n2], 2) as members:
        head = automatic(n1, 3)[-1]
        n1.process.send_signal(signal.SIGSTOP)  # it neither answers nor refuses
        try:
            ok(n3, "checkpoint", "prune", "bank", "--keep-last", "1", "--yes")
            assert listed(n3) == [head]
            await_true(lambda: kept_by(n2, 1) == [head], "the one that is up follows at once")
        finally:
            n1.process.send_signal(signal.SIGCONT)
        forget(nodes, n1)
        await_bytes(members, [head])


def test_a_stranger_does_not_prune_in_the_middle_of_an_operation(nodes: Cluster) -> None:
    n1, n2, n3 = nodes.nodes
    with bank([n1, n2], 2) as members:
        automatic(n1, 3)
        rows = json.loads(ok(n2, "ps", "bank", "-o", "json"))
        pid = next(row["pid"] for row in rows if row["member"] == "m1")
        os.kill(pid, signal.SIGSTOP)  # the operation waits for it, in both nodes' turns
        words = (
            ["checkpoint", "create", "bank"],
            ["checkpoint", "prune", "bank", "--keep-last", "1"],
        )
        operating = threading.Thread(target=lambda: n1.mmsnap(*words[0]))
        pruning = threading.Thread(target=lambda: n3.mmsnap(*words[1], "--yes"))
        operating.start()
        time.sleep(1)
        pruning.start()
        pruning.join(4)
        assert operating.is_alive(), "or this shows nothing"
        assert pruning.is_alive(), "it waits for a turn"
        assert len(listed(n3)) == 3
        os.kill(pid, signal.SIGCONT)
        operating.join()
        pruning.join()
        assert members.all_run()


def test_what_a_coordinator_may_still_commit_is_kept_or_can_not_be_committed(
    nodes: Cluster,
) -> None:
    n1, n2, _ = nodes.nodes
    catalog = catalog_of(nodes)
    with bank([n1, n2], 2):
        automatic(n1, 1)
        folder = member_folder(n2.pool, "bank", "program")
        quick, slow = (catalog.next_epoch("bank") for _ in range(2))
        for epoch in (quick, slow):
            (folder / str(epoch) / "images").mkdir(parents=True)
        catalog.commit(made(quick))
        forget(nodes, n2)
        await_true(lambda: not (folder / str(slow)).exists(), "what was not committed is removed")
        assert (folder / str(quick)).exists(), "what was committed is not"
        with pytest.raises(FencedError):
            catalog.commit(made(slow))
        ok(n1, "checkpoint", "create", "bank")
        catalog.delete("bank", quick)
        forget(nodes, n2)
        await_true(lambda: not (folder / str(quick)).exists(), "what was forgotten goes as well")


def made(epoch: int) -> GroupCheckpoint:
    part = MemberFigures("program", 1, 0, 0, 0, 1, False, engine=EngineKind.PROCESS)
    return GroupCheckpoint(
        "bank", epoch, f"slow-{epoch}", None, 1, 1, automatic=True, members=(part,)
    )


def test_only_a_node_may_tell_a_node_to_forget(nodes: Cluster) -> None:
    n1 = nodes.nodes[0]
    with grpc.insecure_channel(n1.address) as channel, pytest.raises(grpc.RpcError) as told:
        peer_pb2_grpc.PeerStub(channel).Forget(peer_pb2.ForgetRequest(group="bank"), timeout=10)
    assert told.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with (
        channel_of(nodes.nodes[1].tls, n1) as channel,
        pytest.raises(grpc.RpcError, match="no name of a group"),
    ):
        peer_pb2_grpc.PeerStub(channel).Forget(peer_pb2.ForgetRequest(group="../x"), timeout=10)
