"""A Hazelcast cluster on three hosts: paused for a cut, restored late, restored elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.network import network
from tests.process.site import Shim, Site, await_true, site
from tutorials.hazelcast.cluster import prepare

OLD = ("10.9.0.1", "10.9.0.2", "10.9.0.3")
NEW = ("10.9.1.1", "10.9.1.2", "10.9.1.3")
MEMBERS = ("hz-0", "hz-1", "hz-2")
ENTRIES = 2000
HEARTBEAT_SECONDS = 5

CONFIG = """
hazelcast:
  network:
    rest-api:
      enabled: true
      endpoint-groups:
        HEALTH_CHECK: {enabled: true}
        CLUSTER_READ: {enabled: true}
        CLUSTER_WRITE: {enabled: true}
    interfaces: {enabled: true, interfaces: ["${member.address}"]}
    join:
      multicast: {enabled: false}
      auto-detection: {enabled: false}
      tcp-ip: {enabled: true, member-list: ["10.9.0.1", "10.9.0.2", "10.9.0.3"]}
"""
# Runs on a member's host. One connection: what the members say of their addresses may be old.
CLIENT = """
import json, sys, hazelcast
client = hazelcast.HazelcastClient(cluster_members=["127.0.0.1:5701"], smart_routing=False)
entries = client.get_map("entries").blocking()
wanted = {f"key {n}": f"value {n} of {sys.argv[2]}" for n in range(int(sys.argv[1]))}
if sys.argv[3] == "put": entries.put_all(wanted)
found = dict(entries.entry_set())
print(json.dumps(found == wanted))
client.shutdown()
"""
HEALTH = """
import sys, urllib.request
print(urllib.request.urlopen("http://127.0.0.1:5701/hazelcast/health", timeout=5).read().decode())
"""


class Cluster:
    """Three members, each on its host."""

    def __init__(self, here: Site, jar: Path, hosts: list[str], config: Path) -> None:
        self.here = here
        self.hosts = hosts
        self._jar = jar
        self._config = config

    def start(self, group: str = "hz") -> list[Shim]:
        profile = "--profile-options", "url=http://127.0.0.1:5701"
        return [
            self.here.run(
                group,
                member,
                *self._java(address),
                options=("--profile", "hazelcast", *profile),
                host=host,
            )
            for member, address, host in zip(MEMBERS, OLD, self.hosts, strict=True)
        ]

    def on_host(self, number: int, source: str, *words: str) -> str:
        command = ["nsenter", f"--net={self.hosts[number]}", sys.executable, "-c", source, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    def health(self, number: int) -> dict[str, Any]:
        told = self.on_host(number, HEALTH)
        health: dict[str, Any] = json.loads(told) if told else {}
        return health

    def whole(self) -> bool:
        """All see three, safe, and take writes."""
        wanted = {"clusterSize": 3, "clusterSafe": True, "clusterState": "ACTIVE"}
        return all(wanted.items() <= self.health(number).items() for number in range(3))

    def put(self, what: str) -> None:
        assert self.on_host(0, CLIENT, str(ENTRIES), what, "put").strip() == "true"

    def has(self, what: str) -> bool:
        return self.on_host(1, CLIENT, str(ENTRIES), what, "get").strip() == "true"

    def _java(self, address: str) -> list[str]:
        return [
            *("java", "-Xms96m", "-Xmx96m", "-XX:+UseSerialGC", "-XX:-UsePerfData"),
            f"-Dhazelcast.max.no.heartbeat.seconds={HEARTBEAT_SECONDS}",
            "-Dhazelcast.heartbeat.interval.seconds=1",
            "-Dhazelcast.phone.home.enabled=false",
            f"-Dhazelcast.config={self._config}",
            f"-Dmember.address={address}",
            *("-cp", str(self._jar), "com.hazelcast.core.server.HazelcastMemberStarter"),
        ]


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[str]]:
    with network(*OLD, *NEW) as namespaces:
        yield namespaces


@pytest.fixture(scope="module")
def cluster(criu: None, hosts: list[str]) -> Iterator[Cluster]:
    """A cluster with entries, whose checkpoint "full" was taken before they were changed."""
    jar = prepare()
    with site() as here:
        config = here.folder / "hazelcast.yaml"
        config.write_text(CONFIG)
        made = Cluster(here, jar, hosts[:3], config)
        made.start()
        await_true(made.whole, "three members, safe", 90)
        made.put("the cut")
        here.checkpoint("hz", "full")
        made.put("afterwards")
        yield made


def test_it_is_paused_for_the_cut_and_takes_writes_again(cluster: Cluster) -> None:
    shown = cluster.here.mmsnap("checkpoint", "show", "hz", "full", "-o", "json").stdout
    assert json.loads(shown)["consistency"] == "application"
    assert cluster.whole()
    cluster.here.mmsnap("restore", "hz", "full")
    await_true(cluster.whole, "a whole cluster that takes writes, though captured while PASSIVE")
    assert cluster.has("the cut")
    cluster.put("afterwards")


def test_restored_later_than_its_heartbeats_allow(cluster: Cluster) -> None:
    for shim in cluster.here.shims[-3:]:
        shim.kill_program()
    time.sleep(3 * HEARTBEAT_SECONDS)
    cluster.here.mmsnap("restore", "hz", "full")
    cluster.start()
    await_true(cluster.whole, "three members, safe", 60)
    for _ in range(2 * HEARTBEAT_SECONDS):
        time.sleep(1)
        assert [cluster.health(n).get("clusterSize") for n in range(3)] == [3, 3, 3]
    assert cluster.has("the cut")


def test_cloned_to_other_hosts_beside_the_origin(cluster: Cluster, hosts: list[str]) -> None:
    cluster.put("the origin")
    cluster.here.mmsnap("clone", "hz", "full", "hz-clone")
    clone = Cluster(cluster.here, cluster._jar, hosts[3:], cluster._config)
    clone.start("hz-clone")
    await_true(clone.whole, "three members, safe", 60)
    assert clone.has("the cut")
    assert cluster.whole()
    assert cluster.has("the origin")
    clone.put("the clone")
    time.sleep(2 * HEARTBEAT_SECONDS)
    assert clone.whole()
    assert clone.has("the clone")
    assert cluster.has("the origin")
