"""One node is asked and all are seen; one that is silent keeps nobody from what the others say."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mmsnap.rpc.v1 import mmsnap_pb2, peer_pb2_grpc
from tests.nodes.site import MMSNAP, Cluster, Node, await_true, bank, cluster
from tests.nodes.test_security import channel_of


@pytest.fixture(scope="module")
def site() -> Iterator[Cluster]:
    with cluster(options=("--log-format", "json")) as made:
        yield made


def usage(node: Node) -> dict[str, Any]:
    told = node.mmsnap("usage", "-o", "json")
    assert told.returncode == 0, told.stderr
    used: dict[str, Any] = json.loads(told.stdout)
    return used


def unreachable(node: Node) -> dict[str, str]:
    return {each["node"]: each["unreachable"] for each in usage(node)["nodes"]}


class Watching:
    """A `mmsnap watch` and what it has shown."""

    def __init__(self, node: Node, *words: str) -> None:
        self._shown = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as this
        self.process = subprocess.Popen(
            [MMSNAP, "watch", *words, "-o", "json"], env=node.environment, stdout=self._shown
        )

    def events(self, kind: str, node: str) -> list[dict[str, Any]]:
        self._shown.seek(0)
        lines = [line for line in self._shown.read().split("\n")[:-1] if line]
        events = [json.loads(line) for line in lines]
        return [each for each in events if (each["kind"], each["node"]) == (kind, node)]

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        self._shown.close()


@contextmanager
def watching(node: Node, *words: str) -> Iterator[Watching]:
    made = Watching(node, *words)
    try:
        yield made
    finally:
        made.end()


def test_usage_shows_every_region_of_every_node_once(site: Cluster) -> None:
    with bank(site.nodes, 4):
        assert site.nodes[0].mmsnap("checkpoint", "create", "bank", "--name", "c").returncode == 0
        for node in site.nodes:
            used = usage(node)
            where = [(each["node"], each["region"]) for each in used["regions"]]
            expected = [("n1", "bank.m0"), ("n1", "bank.m3"), ("n2", "bank.m1"), ("n3", "bank.m2")]
            assert where == expected
            assert all(each["used_bytes"] > 0 for each in used["regions"])
            assert [(each["node"], each["pool"]) for each in used["nodes"]] == [
                (each.name, str(each.pool)) for each in site.nodes
            ]
            assert used["pool"] == str(node.pool), "whoever knows of one node only sees the asked"
            assert all(each["size_bytes"] > 0 for each in used["nodes"])
        table = site.nodes[1].mmsnap("usage").stdout
        assert table.count("NODE") == 2
        assert "unreachable" not in table


def test_a_node_tells_another_of_itself_alone(site: Cluster) -> None:
    with bank(site.nodes, 4), channel_of(site.nodes[1].tls, site.nodes[0]) as channel:
        told = peer_pb2_grpc.PeerStub(channel).GetUsage(mmsnap_pb2.GetUsageRequest(), timeout=5)
        assert {each.node for each in told.regions} == {"n1"}
        assert not told.nodes


def test_a_node_that_does_not_answer_is_listed_with_the_reason(site: Cluster) -> None:
    first, second, third = site.nodes
    second.kill()
    third.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    told = unreachable(first)
    assert time.monotonic() - begun < 10
    third.process.send_signal(signal.SIGCONT)
    assert told.keys() == {"n1", "n2", "n3"}
    assert told["n1"] == ""
    assert told["n2"] == "the node service at n2 can not be reached"
    assert told["n3"].startswith("the node service at n3 ")
    assert "unreachable: the node service at n2" in first.mmsnap("usage").stdout
    second.start()
    await_true(lambda: unreachable(first) == {"n1": "", "n2": "", "n3": ""}, "all answer again")


def test_watch_tells_what_happens_on_every_node(site: Cluster) -> None:
    with watching(site.nodes[0]) as seen, bank(site.nodes, 4):
        for asked in site.nodes:

            def sees_the_cut(asked: Node = asked) -> bool:
                assert asked.mmsnap("checkpoint", "create", "bank").returncode == 0
                return bool(seen.events("checkpoint", asked.name))

            await_true(sees_the_cut, f"a cut that {asked.name} was asked for is seen")
        epochs = [each["epoch"] for n in site.nodes for each in seen.events("checkpoint", n.name)]
        assert len(epochs) == len(set(epochs)), "each is told once"


def test_a_node_lost_from_sight_is_told_and_heard_again_when_it_is_back(site: Cluster) -> None:
    first, second, _ = site.nodes
    with watching(first, "bank") as seen, bank(site.nodes, 4):
        for times in (1, 2):
            second.kill()
            await_true(lambda t=times: len(seen.events("unreachable", "n2")) == t, "it is told")
            second.start()
            await_true(lambda t=times: len(seen.events("reachable", "n2")) == t, "and its return")
        assert all(each["text"] for each in seen.events("unreachable", "n2"))
        assert not seen.events("unreachable", "n3")
        await_true(
            lambda: (
                second.mmsnap("checkpoint", "create", "bank").returncode == 0
                and seen.events("checkpoint", "n2")
            ),
            "what happens there is told again",
        )


def metrics(node: Node) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{node.metrics_port}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def test_metrics_count_the_members_of_their_node_and_outlive_the_catalog(site: Cluster) -> None:
    with bank(site.nodes, 4):
        counts = ["2.0", "1.0", "1.0"]
        for node, count in zip(site.nodes, counts, strict=True):
            told = metrics(node)
            assert f'mmsnap_members{{state="attached"}} {count}\n' in told
            assert 'mmsnap_members{state="lost"} 0.0\n' in told, "another node's are not lost"
        site.etcd.kill(0)
        site.etcd.kill(1)
        try:
            told = metrics(site.nodes[0])
            assert "mmsnap_pool_free_bytes" in told
            assert "mmsnap_members{" not in told
        finally:
            for number in (0, 1):
                site.etcd.start(number)
            for number in (0, 1):
                site.etcd.await_health(number)


def test_one_cut_is_found_in_the_logs_by_group_and_epoch(site: Cluster) -> None:
    with bank(site.nodes, 4):
        made = site.nodes[0].mmsnap("checkpoint", "create", "bank", "--max-pause", "1ns")
        assert made.returncode == 4
    lines = [json.loads(line) for node in site.nodes for line in node.log.splitlines()]
    assert {line["node"] for line in lines} == {"n1", "n2", "n3"}
    about = [line for line in lines if "bank" in line["message"] or "group" in line]
    assert all((line["group"], type(line["epoch"])) == ("bank", int) for line in about)
    aborted = [line for line in about if "exceeded the budget" in line["message"]]
    assert aborted
    for line in aborted:
        assert (
            f"@{line['epoch']} of group bank was aborted: member {line['member']} at "
            in (line["message"])
        )
