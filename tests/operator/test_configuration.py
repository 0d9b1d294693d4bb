"""The fear: what a MemoryMachine asks for does not arrive at etcd or at the agents."""

from __future__ import annotations

from typing import Any

import pytest

from mmsnap_operator.configuration import Metrics, read
from mmsnap_operator.deployment import Context, agents_objects, base_objects, etcd_objects
from mmsnap_operator.deployment.clearing import pod as clearing_pod

CONTEXT = Context("memorymachine", "memverge", "1234")


def arguments(spec: dict[str, Any], context: Context = CONTEXT) -> list[str]:
    (daemon_set,) = agents_objects(context, read(spec, context.namespace))
    (agent,) = daemon_set["spec"]["template"]["spec"]["containers"]
    args: list[str] = agent["args"]
    return args


def etcd_flags(spec: dict[str, Any]) -> list[str]:
    objects = etcd_objects(CONTEXT, read(spec, "memverge"))
    (stateful_set,) = [one for one in objects if one["kind"] == "StatefulSet"]
    (container,) = stateful_set["spec"]["template"]["spec"]["containers"]
    command: list[str] = container["command"]
    return command


@pytest.mark.parametrize(
    ("spec", "argument"),
    [
        ({}, "--listen=$(HOST_IP):9527"),
        ({"mmagentConfig": {"rpcPort": 9600}}, "--listen=$(HOST_IP):9600"),
        ({"localSharedPath": "/data/mm"}, "--pool=/data/mm/pool"),
        ({"localSharedPath": "/data/mm"}, "--address=unix:///data/mm/agent.sock"),
        ({}, "--replicas=1"),
        ({"mvcontainerConfig": {"SnapshotReplicas": 1}}, "--replicas=0"),
        ({"mvcontainerConfig": {"SnapshotReplicas": 3}}, "--replicas=2"),
        ({}, "--log-level=info"),
        ({"mmagentConfig": {"log": {"level": "warn"}}}, "--log-level=warning"),
        ({"mvsvcdConfig": {"LogTrace": True}}, "--log-level=debug"),
        ({"mvcontainerConfig": {"LogTrace": True}}, "--log-level=debug"),
        ({"daemonConfig": {"trace": True}}, "--log-level=debug"),
        ({}, "--metrics=127.0.0.1:9464"),
        ({"mmagentConfig": {"httpPort": 9500}}, "--metrics=$(HOST_IP):9500"),
        ({}, "--etcd-tls=/etc/mmsnap/tls"),
        ({}, "--pods"),
    ],
)
def test_agents_are_told(spec: dict[str, Any], argument: str) -> None:
    assert argument in arguments(spec)


def test_no_metrics_and_no_probe_for_them_when_they_are_off() -> None:
    spec = {"mmagentConfig": {"metric": {"enabled": False}}}
    assert not [one for one in arguments(spec) if one.startswith("--metrics")]
    (daemon_set,) = agents_objects(CONTEXT, read(spec, "memverge"))
    (agent,) = daemon_set["spec"]["template"]["spec"]["containers"]
    assert agent["readinessProbe"]["tcpSocket"] == {"port": 9527}


def test_metrics_are_for_the_node_alone_unless_a_port_is_given() -> None:
    assert read({}, "memverge").metrics == Metrics("127.0.0.1", 9464)
    assert read({"mmagentConfig": {"httpPort": 1}}, "memverge").metrics == Metrics("", 1)


def test_agents_know_every_member_of_etcd() -> None:
    endpoints = [one for one in arguments({}) if one.startswith("--etcd=")]
    domain = "memory-machine-etcd-service.memverge.svc"
    assert endpoints == [f"--etcd=https://memory-machine-etcd-{n}.{domain}:2379" for n in range(3)]


@pytest.mark.parametrize(
    "endpoint",
    [
        "memory-machine-etcd-service:2379",
        "memory-machine-etcd-service.memverge:2379",
        "http://memory-machine-etcd-service.memverge.svc:2379",
    ],
)
def test_own_etcd_by_any_of_its_names_is_made(endpoint: str) -> None:
    wanted = read({"mvcontainerConfig": {"EtcdEndpoint": endpoint}}, "memverge")
    assert wanted.etcd is not None


def test_existing_etcd_is_used_and_none_is_made() -> None:
    spec = {"mvcontainerConfig": {"EtcdEndpoint": "etcd.other:2379,https://second.other:2379"}}
    assert etcd_objects(CONTEXT, read(spec, "memverge")) == []
    told = [one for one in arguments(spec) if one.startswith("--etcd")]
    assert told == ["--etcd=http://etcd.other:2379", "--etcd=https://second.other:2379"]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_members_of_etcd_know_each_other(count: int) -> None:
    flags = etcd_flags({"etcdConfig": {"replicas": count, "peerPort": 2390}})
    (cluster,) = [flag for flag in flags if flag.startswith("--initial-cluster=")]
    assert cluster.count(":2390") == count
    assert "--heartbeat-interval=100" in flags
    assert "--client-cert-auth=true" in flags


def test_times_and_ports_arrive_at_etcd() -> None:
    given = {"heartbeatInterval": 200, "electionTimeout": 2000, "clientPort": 2400}
    flags = etcd_flags({"etcdConfig": given})
    assert "--heartbeat-interval=200" in flags
    assert "--election-timeout=2000" in flags
    assert "--listen-client-urls=https://0.0.0.0:2400" in flags
    assert any(one.endswith(":2400") for one in arguments({"etcdConfig": given}))


def template_hash(spec: dict[str, Any], context: Context = CONTEXT) -> str:
    (daemon_set,) = agents_objects(context, read(spec, "memverge"))
    annotations = daemon_set["spec"]["template"]["metadata"]["annotations"]
    return str(annotations["mm.memverge.com/template-hash"])


def test_only_what_concerns_agents_rolls_them_out() -> None:
    before = template_hash({})
    assert template_hash({"mmagentConfig": {"rpcPort": 9600}}) != before
    assert template_hash({"mmVersion": "2"}) != before
    assert template_hash({"licenseFromSecret": "other", "podPrefixList": ["hz"]}) == before
    assert template_hash({}, Context("memorymachine", "memverge", "other uid")) == before


def test_pull_secret_is_used_by_all_pods_that_are_made() -> None:
    context = Context("memorymachine", "memverge", "1234", pull_secret="mine")
    wanted = read({}, "memverge")
    objects = [*etcd_objects(context, wanted), *agents_objects(context, wanted)]
    specs = [
        one["spec"]["template"]["spec"] for one in objects if "template" in one.get("spec", {})
    ]
    specs.append(clearing_pod(context, wanted.image, wanted.shared_folder, "node1")["spec"])
    assert len(specs) == 3
    assert all(spec["imagePullSecrets"] == [{"name": "mine"}] for spec in specs)


def test_an_image_that_was_brought_to_the_nodes_is_enough() -> None:
    """Also under the tag `latest`, which Kubernetes would ask a registry for at every start."""
    wanted = read({}, "memverge")
    (daemon_set,) = agents_objects(CONTEXT, wanted)
    agents = daemon_set["spec"]["template"]["spec"]
    clearing = clearing_pod(CONTEXT, wanted.image, wanted.shared_folder, "node1")["spec"]
    containers = [*agents["initContainers"], *agents["containers"], *clearing["containers"]]
    assert [one["image"] for one in containers] == [wanted.image] * 3
    assert [one.get("imagePullPolicy") for one in containers] == ["IfNotPresent"] * 3


def test_everything_in_a_namespace_is_owned() -> None:
    wanted = read({}, "memverge")
    for make in (base_objects, etcd_objects, agents_objects):
        for manifest in make(CONTEXT, wanted):
            namespaced = manifest["kind"] != "CSIDriver"
            owners = manifest["metadata"].get("ownerReferences", [])
            assert [owner["uid"] for owner in owners] == (["1234"] if namespaced else [])


def test_two_nodes_are_cleared_by_pods_of_two_names() -> None:
    names = {
        clearing_pod(CONTEXT, "i", "/var/memverge", node)["metadata"]["name"]
        for node in ("a" * 200, "a" * 199 + "b")
    }
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)
