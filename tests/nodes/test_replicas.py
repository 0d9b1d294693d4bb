"""The fear: a node that is lost takes with it what was said to be replicated; or comes back and
its members live twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mmsnap
from mmsnap.errors import AgentUnavailableError, CorruptionError
from mmsnap_sdk.client import Client
from tests.nodes.site import MMSNAP, Bank, Cluster, Node, await_true, bank, cluster

SHIM = """
import os, sys
from mmsnap_sdk import calls
from mmsnap_sdk.client import Client
from mmsnap_sdk.service_records import Application
shim = Application("bank", sys.argv[1], None, "rollback", engine="process")
Client(os.environ["MMSNAP_ADDRESS"]).ask(calls.attach(shim))
"""


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


def create(node: Node, name: str, *words: str) -> dict[str, Any]:
    told = node.mmsnap("checkpoint", "create", "bank", "--name", name, *words)
    assert told.returncode == 0, told.stderr
    return show(node, name)


def show(node: Node, name: str) -> dict[str, Any]:
    told = node.mmsnap("checkpoint", "show", "bank", name, "-o", "json")
    assert told.returncode == 0, told.stderr
    shown: dict[str, Any] = json.loads(told.stdout)
    return shown


def books(node: Node, member: str, epoch: int) -> tuple[list[int], list[int]]:
    """What a node's pool has of a member at a checkpoint."""
    with mmsnap.open(node.pool, f"bank.{member}", mode="r", at=f"@{epoch}") as app:
        return app.array("sent").tolist(), app.array("got").tolist()


def lose(node: Node, members: Bank) -> list[int]:
    """A node and all that runs on it, at once; the numbers of its members."""
    gone = [n for n in range(len(members.members)) if members.node_of(n) is node]
    rows = json.loads(node.mmsnap("ps", "bank", "-o", "json").stdout)
    pids = [row["pid"] for row in rows if row["member"] in {f"m{n}" for n in gone}]
    node.kill()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for number in gone:
        members.members[f"m{number}"].wait(20)
    return gone


def test_nodes_that_are_named_in_full() -> None:
    with cluster(domain=".eu-1.example.net") as full, bank(full.nodes, 3) as members:
        create(full.nodes[0], "one", "--wait", "replicated")
        lost = full.nodes[1]
        lose(lost, members)
        told = full.nodes[0].mmsnap("node", "down", lost.name, "--yes", "--force")
        assert told.returncode == 0, told.stderr
        told = full.nodes[0].mmsnap("node", "list", "-o", "json")
        down = {row["name"]: row["down"] for row in json.loads(told.stdout)}
        assert down[lost.name]


def test_what_is_replicated_is_byte_for_byte_on_another_node(nodes: Cluster) -> None:
    with bank(nodes.nodes, 6) as members:
        for number in range(4):
            shown = create(nodes.nodes[number % 3], f"c{number}", "--wait", "replicated")
            assert shown["durability"] == "replicated"
            by_name = {node.name: node for node in nodes.nodes}
            for part in shown["members"]:
                assert len(part["copies"]) == 2
                assert part["node"] in part["copies"]
                one, other = (by_name[name] for name in part["copies"])
                epoch = shown["epoch"]
                assert books(one, part["member"], epoch) == books(other, part["member"], epoch)
        assert members.all_run()
        # Only what changed was sent: the bank's books are two pages of 8 MiB.
        told = nodes.nodes[0].mmsnap("checkpoint", "list", "bank", "-o", "json")
        assert {row["durability"] for row in json.loads(told.stdout)} == {"replicated"}


def test_a_checkpoint_without_replicas_never_says_that_it_has_some(nodes: Cluster) -> None:
    with bank(nodes.nodes, 3):
        assert create(nodes.nodes[0], "alone")["durability"] == "captured"
        told = nodes.nodes[0].mmsnap(
            "checkpoint", "wait", "bank", "alone", "--durability", "replicated"
        )
        assert told.returncode == 1
        assert "without replicas" in told.stderr
        told = nodes.nodes[0].mmsnap(
            "checkpoint", "create", "bank", "--name", "far", "--replicas", "3"
        )
        assert told.returncode == 0
        told = nodes.nodes[0].mmsnap(
            "checkpoint", "wait", "bank", "far", "--durability", "replicated", "--timeout", "3s"
        )
        assert told.returncode == 1
        assert "not replicated yet" in told.stderr


def test_a_node_is_lost_and_its_members_go_on_elsewhere_within_seconds(nodes: Cluster) -> None:
    first, second, third = nodes.nodes
    with bank(nodes.nodes, 6) as members:
        create(first, "kept", "--wait", "replicated")
        create(first, "lost", "--replicas", "0")
        create(third, "head", "--wait", "replicated")
        lost_at = time.monotonic()
        gone = lose(second, members)
        refused = third.mmsnap("node", "down", "n2", "--yes")
        assert refused.returncode == 4
        assert "--force" in refused.stderr
        told = third.mmsnap("node", "down", "n2", "--force", "--yes")
        assert told.returncode == 0, told.stderr
        for number in gone:
            members.move(number, third)
        await_true(lambda: members.attached() == set(members.members), "all are attached again")
        took_seconds = time.monotonic() - lost_at
        print(f"back after {took_seconds:.1f} s")
        assert took_seconds < 20
        assert members.all_run()
        after = create(first, "after", "--wait", "replicated")
        members.check(after["epoch"])
        assert {part["node"] for part in after["members"]} == {"n1", "n3"}
        # To before the loss: the new node has the older ones, too.
        told = first.mmsnap("restore", "bank", "kept")
        assert told.returncode == 0, told.stderr
        members.check(create(third, "again")["epoch"])
        # What was on the lost node only is said to be lost, and nothing else is touched by it.
        told = first.mmsnap("restore", "bank", "lost")
        assert told.returncode != 0
        assert members.all_run()
        members.check(create(third, "still")["epoch"])


def test_shim_of_a_pod_comes_to_another_node_before_its_program(nodes: Cluster) -> None:
    """It is a program's until the program joins by itself, and then lets it."""
    first, second, third = nodes.nodes
    with bank(nodes.nodes, 3) as members:
        kept = create(first, "kept", "--wait", "replicated")
        (gone,) = lose(second, members)
        assert third.mmsnap("node", "down", "n2", "--force", "--yes").returncode == 0
        subprocess.run([sys.executable, "-c", SHIM, f"m{gone}"], env=third.environment, check=True)
        books(third, f"m{gone}", kept["epoch"])  # there, before the program needs it
        members.move(gone, third)
        await_true(lambda: members.attached() == set(members.members), "all are attached again")
        members.check(create(first, "after")["epoch"])


def test_nobody_takes_a_member_from_a_node_that_runs_it(nodes: Cluster) -> None:
    with bank(nodes.nodes, 3) as members:
        create(nodes.nodes[0], "c", "--wait", "replicated")
        told = nodes.nodes[0].mmsnap("node", "down", "n2", "--force", "--yes")
        assert told.returncode == 1
        assert "answers" in told.stderr
        words = ["run", "--group", "bank", "--member", "m1", "--", sys.executable, "-c"]
        attach = "import mmsnap; mmsnap.attach(size='8MiB')"
        told = nodes.nodes[2].mmsnap(*words, attach)
        assert told.returncode != 0
        assert "of node n2" in told.stderr
        assert members.all_run()
        nodes.nodes[1].process.send_signal(signal.SIGSTOP)
        try:
            told = nodes.nodes[2].mmsnap(*words, attach)
        finally:
            nodes.nodes[1].process.send_signal(signal.SIGCONT)
        assert told.returncode != 0
        assert "mmsnap node down n2" in told.stderr


HELD_MEMBER = """
import sys, time, mmsnap
with mmsnap.attach(size="4MiB") as app:
    count = app.array("count", 1, "i8")
    print("at", count[0], flush=True)
    while True:
        with app.update():
            count[0] += 1
        time.sleep(0.001)
"""


def start(node: Node, member: str, program: str = HELD_MEMBER) -> subprocess.Popen[bytes]:

    return subprocess.Popen(
        [MMSNAP, "run", "--group", "bank", "--member", member, "--", sys.executable, "-c", program],
        env=node.environment,
        stdout=subprocess.DEVNULL,
    )


def attached(node: Node) -> set[str]:
    told = node.mmsnap("ps", "bank", "-o", "json")
    rows = json.loads(told.stdout) if told.returncode == 0 else []
    return {row["member"] for row in rows if row["state"] == "attached"}


def test_a_node_that_comes_back_ends_what_lives_elsewhere(nodes: Cluster) -> None:
    first, second, _ = nodes.nodes
    running = [start(first, "a"), start(second, "b")]
    try:
        await_true(lambda: attached(first) == {"a", "b"}, "both are attached")
        create(first, "c", "--wait", "replicated")
        second.kill()  # the service only: cut off, its member runs on
        told = first.mmsnap("node", "down", "n2", "--force", "--yes")
        assert told.returncode == 0, told.stderr
        running.append(start(first, "b"))
        await_true(lambda: attached(first) == {"a", "b"}, "it is attached on the other node")
        assert running[1].poll() is None, "nobody could tell the leftover"
        second.start()
        running[1].wait(20)
        assert running[2].poll() is None
        assert attached(second) == {"a", "b"}
        create(second, "d", "--wait", "replicated")
        nodes_told = first.mmsnap("node", "list", "-o", "json")
        assert not any(row["down"] for row in json.loads(nodes_told.stdout))
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


def test_a_node_is_gone_for_good_and_others_make_new_copies(nodes: Cluster) -> None:
    first, second, third = nodes.nodes
    running = [start(first, "a")]
    try:
        await_true(lambda: attached(first) == {"a"}, "it is attached")
        shown = create(first, "c", "--wait", "replicated")
        (copy,) = {*shown["members"][0]["copies"]} - {"n1"}
        holder = {"n2": second, "n3": third}[copy]
        holder.kill()
        refused = first.mmsnap("node", "remove", copy, "--yes")
        assert "not known to be down" in refused.stderr
        assert first.mmsnap("node", "down", copy, "--force", "--yes").returncode == 0
        assert show(first, "c")["durability"] == "captured", "one copy is none beside the first"
        told = first.mmsnap(
            "checkpoint", "wait", "bank", "c", "--durability", "replicated", "--timeout", "20s"
        )
        assert told.returncode == 0, told.stderr
        assert first.mmsnap("node", "remove", copy, "--yes").returncode == 0
        told = first.mmsnap("node", "list", "-o", "json")
        assert copy not in {row["name"] for row in json.loads(told.stdout)}
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


def test_a_copy_that_nobody_needs_any_more_is_removed_whole(nodes: Cluster) -> None:
    first = nodes.nodes[0]
    running = [start(first, "a")]
    try:
        await_true(lambda: attached(first) == {"a"}, "it is attached")
        create(first, "c", "--wait", "replicated", "--replicas", "2")
        copies = [node.pool / "regions" / "bank.a" for node in nodes.nodes[1:]]
        assert all(copy.exists() for copy in copies)
        create(first, "d")
        assert first.mmsnap("checkpoint", "delete", "bank", "c", "--yes").returncode == 0
        await_true(lambda: not any(copy.exists() for copy in copies), "the copies are gone")
        create(first, "e", "--wait", "replicated", "--replicas", "2")
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


def test_damage_is_found_wherever_it_is_and_whoever_is_asked(nodes: Cluster) -> None:
    first, second, third = nodes.nodes
    running = [start(first, "a")]
    try:
        await_true(lambda: attached(first) == {"a"}, "it is attached")
        create(first, "c", "--wait", "replicated", "--replicas", "2")
        for node in nodes.nodes:
            assert node.mmsnap("checkpoint", "verify", "bank", "c").returncode == 0
        rot(third)
        told = second.mmsnap("checkpoint", "verify", "bank", "c")
        assert told.returncode == 5, told.stderr
        with Client(third.address) as client:
            assert client.verify("bank", "c", any_copy=True) == ["a"], "there are good ones"
        second.stop()
        try:
            with Client(first.address) as client:
                assert client.verify("bank", "c", any_copy=True) == ["a"]
                with pytest.raises(CorruptionError):  # and it is told before who is silent
                    client.verify("bank", "c")
        finally:
            second.go_on()
        first.stop()
        try:
            # A restore would need that one.
            with Client(third.address) as client, pytest.raises(AgentUnavailableError):
                client.verify("bank", "c", any_copy=True)
        finally:
            first.go_on()
        rot(first)  # and would go back to this, unlooked at
        with Client(third.address) as client, pytest.raises(CorruptionError):
            client.verify("bank", "c", any_copy=True)
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


def rot(node: Node) -> None:
    """One bit of what a node has of member a."""
    base = node.pool / "regions" / "bank.a" / "base"
    with base.open("r+b") as file:
        first_byte = file.read(1)[0]
        file.seek(0)
        file.write(bytes([first_byte ^ 1]))


def test_clones_and_archives_are_made_by_a_node_without_members(
    nodes: Cluster, tmp_path: Path
) -> None:
    first, second, third = nodes.nodes
    running = [start(first, "a"), start(second, "b")]
    try:
        await_true(lambda: attached(first) == {"a", "b"}, "both are attached")
        create(first, "c")
        told = third.mmsnap("checkpoint", "export", "bank", "c", str(tmp_path / "archive"))
        assert told.returncode == 0, told.stderr
        told = second.mmsnap("checkpoint", "import", str(tmp_path / "archive"), "--as", "copy")
        assert told.returncode == 0, told.stderr
        told = third.mmsnap("clone", "bank", "c", "twin")
        assert told.returncode == 0, told.stderr
        # Members of a clone start where they like: their memory follows.
        counts = []
        for group, node in (("twin", first), ("copy", third)):
            program = "import mmsnap; print(mmsnap.attach().array('count')[0])"
            words = ["run", "--group", group, "--member", "a", "--", sys.executable, "-c", program]
            told = node.mmsnap(*words)
            assert told.returncode == 0, told.stderr
            counts.append(int(told.stdout))
        assert counts[0] == counts[1] > 0
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


def test_a_node_that_was_only_silent_counts_again(nodes: Cluster) -> None:
    first, _, third = nodes.nodes
    third.stop()
    try:
        assert first.mmsnap("node", "down", "n3", "--force", "--yes").returncode == 0
    finally:
        third.go_on()

    def is_down() -> bool:
        told = json.loads(first.mmsnap("node", "list", "-o", "json").stdout)
        return any(row["down"] for row in told)

    await_true(lambda: not is_down(), "it says that it is there, though it has no members")
