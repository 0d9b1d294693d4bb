"""The operator on a real cluster: what users apply is deployed, changed and removed, nothing else.

The fears: a manifest that worked before does nothing; a change does not arrive; something is left
when everything was deleted; a mistake is met with silence.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.operator_site import FOLDER, MACHINE, NAMESPACE, OperatorSite, manifest

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def operator(cluster: Cluster) -> Iterator[OperatorSite]:
    site = OperatorSite(cluster)
    site.install()
    yield site
    site.delete()
    site.uninstall()


@pytest.fixture
def prepared(operator: OperatorSite) -> Iterator[OperatorSite]:
    """A node that is ready for an agent, and labelled."""
    operator.prepare("--pmem-emulation", "--mm-capacity", "1")
    operator.label()
    yield operator
    operator.delete()
    operator.label(off=True)
    operator.prepare("--undo", "--yes")


def test_manifest_of_existing_users_is_deployed_changed_and_removed(
    prepared: OperatorSite,
) -> None:
    """The whole life of a MemoryMachine with three members of etcd."""
    objects, files = prepared.objects(), prepared.files()
    wanted = manifest(
        etcdConfig={"replicas": 3},
        licenseFromSecret="memory-machine-license",
        imagePullSecret="memverge-dockerconfig",
        localSharedPath="/var/memverge",
        mvmallocConfig={"dramCacheMB": 512},
        podPrefixList=["hz"],
    )
    prepared.apply(wanted)
    prepared.await_condition("Ready", "True", seconds=240)
    _all_members_of_etcd_are_ready(prepared)
    assert "mvmallocConfig.dramCacheMB" in prepared.await_condition("FieldsIgnored", "True")
    assert prepared.condition("Conflict")["status"] == "False"
    assert prepared.condition("WebhookReady")["status"] == "True"
    status = prepared.status()
    assert status["mmVersion"] == "test"
    assert status["image"] == "localhost/mmsnap:test"
    assert status["mvmallocConfig"]["dramCacheMB"] == 512
    assert status["mvsvcdConfig"]["SocketPath"] == "/tmp/libmvm/libmvm_sock"
    assert (status["nodesReady"], status["nodesWanted"]) == (1, 1)

    _is_used_through(prepared)
    _change_rolls_out(prepared)
    _goes_the_old_way(prepared, wanted)
    _member_of_etcd_comes_back(prepared)

    prepared.delete()
    # The volume of a claim goes a moment after it.
    eventually(lambda: prepared.objects() <= objects, "everything to go", 30)
    assert prepared.files() - files == set()


def _is_used_through(site: OperatorSite) -> None:
    """The agents serve over mutual TLS, with their catalog in etcd."""
    words = ("exec", "-n", NAMESPACE, "ds/memory-machine", "-c", "agent", "--", "mmsnap")
    assert "node1" in site.cluster.kubectl(*words, "node", "list")
    assert "/var/memverge/pool" in site.cluster.kubectl(*words, "usage")


def _change_rolls_out(site: OperatorSite) -> None:
    site.patch(mmagentConfig={"rpcPort": 9600}, mmVersion="test")
    eventually(lambda: "--listen=$(HOST_IP):9600" in site.arguments(), "the new port", 90)
    site.await_agents()
    before = site.agents()[0]["metadata"]["uid"]
    site.patch(licenseFromSecret="another")
    site.await_condition("FieldsIgnored", "True")
    assert site.agents()[0]["metadata"]["uid"] == before  # what means nothing restarts nobody


def _goes_the_old_way(site: OperatorSite, wanted: dict[str, Any]) -> None:
    """Delete the DaemonSet, edit the manifest, apply it."""
    site.cluster.kubectl("delete", "daemonset", "memory-machine", "-n", NAMESPACE)
    edited = {**wanted, "spec": {**wanted["spec"], "mmagentConfig": {"rpcPort": 9601}}}
    site.apply(edited)
    eventually(lambda: [*map(_listens, site.agents())] == ["9601"], "the edited one", 90)
    site.await_agents()


def _listens(agent: dict[str, Any]) -> str:
    (told,) = [
        argument
        for argument in agent["spec"]["containers"][0]["args"]
        if argument.startswith("--listen=")
    ]
    return str(told).rpartition(":")[2]


def _member_of_etcd_comes_back(site: OperatorSite) -> None:
    words = ("delete", "pod", "memory-machine-etcd-0", "-n", NAMESPACE)
    site.cluster.kubectl(*words, seconds=90)
    _all_members_of_etcd_are_ready(site)


def _all_members_of_etcd_are_ready(site: OperatorSite) -> None:
    """A majority is enough to be Ready."""
    eventually(
        lambda: site.condition("EtcdReady").get("message") == "3 of 3 members are ready",
        "all members of etcd",
        120,
    )


def test_what_somebody_deletes_by_hand_comes_back(prepared: OperatorSite) -> None:
    with prepared.machine(manifest()):
        prepared.await_agents()
        # A volume may be a predecessor's that is going.
        before = {one for one in prepared.objects() if not one.startswith("persistentvolume/")}
        for what in ("configmap/memory-machine-config", "service/memory-machine-etcd-service"):
            prepared.cluster.kubectl("delete", what, "-n", NAMESPACE)
        prepared.cluster.kubectl("delete", "csidriver", "mmsnap.memverge.com")
        eventually(lambda: before <= prepared.objects(), "what was there before", 60)


def test_checkpoints_outlive_the_memory_machine(prepared: OperatorSite) -> None:
    """Their bytes, and the catalog that knows them; a new MemoryMachine finds both."""
    node = prepared.cluster.node
    with prepared.machine(manifest()):
        prepared.await_agents()
        _put_checkpoint(prepared)
    kept = prepared.objects()
    assert "persistentvolumeclaim/data-memory-machine-etcd-0" in kept
    assert "daemonset.apps/memory-machine" not in kept
    assert f"{FOLDER}/pool/regions/counter" in prepared.files()
    assert f"{FOLDER}/agent.sock" not in prepared.files()
    told = prepared.cluster.get("events", "-n", NAMESPACE)["items"]
    (said,) = [event for event in told if event["reason"] == "CheckpointsKept"]
    assert "1 parts of checkpoints stay" in said["message"]

    prepared.apply(manifest())
    prepared.await_agents()
    prepared.delete()
    node.enter(["rm", "-r", f"{FOLDER}/pool/regions"])
    prepared.apply(manifest())
    prepared.await_agents()
    prepared.delete()
    assert "persistentvolumeclaim/data-memory-machine-etcd-0" not in prepared.objects()


def _put_checkpoint(site: OperatorSite) -> None:
    script = (
        "import numpy as np, mmsnap\n"
        f'with mmsnap.open("{FOLDER}/pool", "counter", size="1MiB") as app:\n'
        '    app.array("hits", (8,), np.int64)[:] = 1\n'
    )
    words = ("exec", "-n", NAMESPACE, "ds/memory-machine", "-c", "agent", "--")
    site.cluster.kubectl(*words, "python3", "-c", script)


def test_existing_etcd_is_used_and_none_is_made(prepared: OperatorSite) -> None:
    client = "http://0.0.0.0:2379"
    container = {
        "name": "etcd",
        "image": "localhost/etcd:3.4",
        "command": ["etcd", f"--listen-client-urls={client}", f"--advertise-client-urls={client}"],
    }
    prepared.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "mine", "namespace": NAMESPACE, "labels": {"app": "mine"}},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
        }
    )
    prepared.cluster.wait_for("pod/mine", namespace=NAMESPACE)
    words = ("get", "pod", "mine", "-n", NAMESPACE, "-o", "jsonpath={.status.podIP}")
    address = prepared.cluster.kubectl(*words)
    try:
        with prepared.machine(manifest(mvcontainerConfig={"EtcdEndpoint": f"{address}:2379"})):
            prepared.await_agents()
            assert prepared.condition("EtcdReady")["reason"] == "Existing"
            assert "statefulset.apps/memory-machine-etcd" not in prepared.objects()
    finally:
        prepared.cluster.kubectl("delete", "pod", "mine", "-n", NAMESPACE)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"etcdConfig": {"replicas": 2}}, "spec.etcdConfig.replicas"),
        ({"etcdConfig": {"replicas": 0}}, "spec.etcdConfig.replicas"),
        ({"etcdConfig": {"clientPort": 70000}}, "spec.etcdConfig.clientPort"),
        ({"etcdConfig": {"heartbeatInterval": 500}}, "spec.etcdConfig"),
        ({"etcdConfig": "three"}, "spec.etcdConfig"),
        ({"mmagentConfig": {"rpcPort": "x"}}, "spec.mmagentConfig.rpcPort"),
        ({"mmagentConfig": {"rpcPort": 0}}, "spec.mmagentConfig.rpcPort"),
        ({"mmagentConfig": {"log": {"level": "loud"}}}, "spec.mmagentConfig.log.level"),
        ({"mmagentConfig": {"metric": {"enabled": 1}}}, "spec.mmagentConfig.metric.enabled"),
        ({"localSharedPath": "var/memverge"}, "spec.localSharedPath"),
        ({"localSharedPath": "/"}, "spec.localSharedPath"),
        ({"localSharedPath": "/" + "a" * 64}, "spec.localSharedPath"),
        ({"mvmallocConfig": {"hugePagePath": "here"}}, "spec.mvmallocConfig.hugePagePath"),
        ({"mvmallocConfig": {"dramCacheMB": -1}}, "spec.mvmallocConfig.dramCacheMB"),
        ({"mvmallocConfig": {"dramCacheMB": 1.5}}, "spec.mvmallocConfig.dramCacheMB"),
        ({"pmemEmulation": "yes"}, "spec.pmemEmulation"),
        ({"podPrefixList": "hz"}, "spec.podPrefixList"),
        ({"podPrefixList": ["A b"]}, "spec.podPrefixList[0]"),
        ({"mmVersion": "a b"}, "spec.mmVersion"),
        ({"imageRepository": "localhost/"}, "spec.imageRepository"),
        ({"imagePullSecret": "My_Secret"}, "spec.imagePullSecret"),
        ({"mvcontainerConfig": {"EtcdEndpoint": "etcd"}}, "spec.mvcontainerConfig.EtcdEndpoint"),
        (
            {"mvcontainerConfig": {"SnapshotReplicas": 0}},
            "spec.mvcontainerConfig.SnapshotReplicas",
        ),
    ],
)
def test_wrong_value_is_refused_with_the_name_of_its_field(
    operator: OperatorSite, spec: dict[str, Any], field: str
) -> None:
    wanted = {**manifest(), "spec": spec}
    with pytest.raises(subprocess.CalledProcessError) as refused:
        operator.apply(wanted)
    assert field in " ".join(refused.value.__notes__)


def test_members_of_etcd_can_not_become_more_under_its_data(operator: OperatorSite) -> None:
    with operator.machine(manifest()):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            operator.patch(etcdConfig={"replicas": 3})
        assert "spec.etcdConfig.replicas" in " ".join(refused.value.__notes__)


def test_no_labelled_node_and_no_such_secret_are_said(operator: OperatorSite) -> None:
    with operator.machine(manifest(imagePullSecret="nowhere")):
        told = operator.await_condition("AgentsReady", "False", "NoLabelledNode")
        assert "kubectl label node" in told
        assert "nowhere" in operator.await_condition("PullSecretFound", "False")


def test_unknown_field_is_kept_and_named(operator: OperatorSite) -> None:
    with operator.machine(manifest(mmagentConfig={"rpcport": 1}, strange=3)):
        told = operator.await_condition("FieldsIgnored", "True", "UnknownFields")
        assert "mmagentConfig.rpcport (is mmagentConfig.rpcPort meant?)" in told
        assert "strange" in told


def test_missing_storage_class_is_named_and_another_one_cures_it(operator: OperatorSite) -> None:
    with operator.machine(manifest(etcdConfig={"storageClass": "fast"})):
        told = operator.await_condition("EtcdReady", "False", "StorageClassMissing")
        assert "fast" in told
        assert "standard" in told
        operator.patch(etcdConfig={"storageClass": "standard"})
        operator.await_condition("EtcdReady", "True", "Ready", seconds=120)


def test_node_that_was_not_prepared_is_named(operator: OperatorSite) -> None:
    files = operator.files()
    operator.label()
    try:
        with operator.machine(manifest()):
            told = operator.await_condition("AgentsReady", "False", "NodeNotPrepared")
            assert "node1" in told
            assert "mmsnap node prepare" in told
    finally:
        operator.label(off=True)
    assert operator.files() - files == set()


def test_capacity_larger_than_the_node_is_said_with_figures(prepared: OperatorSite) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        prepared.prepare("--pmem-emulation", "--mm-capacity", "100000")
    assert "97.7 TiB does not fit" in refused.value.stderr
    with prepared.machine(manifest()):
        told = prepared.await_condition("AgentsReady", "False", "PreparationRefused")
        assert "97.7 TiB does not fit" in told


def test_memory_for_pmem_has_to_be_asked_for(prepared: OperatorSite) -> None:
    with prepared.machine(manifest(pmemEmulation=False)):
        told = prepared.await_condition("AgentsReady", "False", "EmulationNotAllowed")
        assert "pmemEmulation" in told
        prepared.patch(pmemEmulation=True)
        prepared.await_agents()


def test_kernel_without_a_feature_is_named(prepared: OperatorSite) -> None:
    with prepared.machine(manifest()):
        prepared.await_agents()
        words = ("set", "env", "daemonset/memory-machine", "-n", NAMESPACE, "-c", "check-node")
        prepared.cluster.kubectl(*words, "MMSNAP_SIMULATE_KERNEL=no-wp-async")
        told = prepared.await_condition("AgentsReady", "False", "KernelFeatureMissing")
        assert "Linux 6.7" in told


def test_image_that_is_not_there_is_named_and_deletion_does_not_hang(
    prepared: OperatorSite,
) -> None:
    objects = prepared.objects()
    wanted = manifest(imageRepository="localhost:1/nowhere", imagePullSecret="nowhere")
    with prepared.machine(wanted):
        told = prepared.await_condition("AgentsReady", "False", "ImageNotPulled", seconds=150)
        assert "localhost:1/nowhere/mmsnap:test" in told
        assert "the secret nowhere" in told
    # The volume of a claim goes a moment after it.
    eventually(lambda: prepared.objects() <= objects, "everything to go", 30)


def test_second_memory_machine_makes_nothing_and_takes_over_when_the_first_goes(
    operator: OperatorSite,
) -> None:
    second = manifest()
    second["metadata"]["name"] = "second"
    with operator.machine(manifest()):
        operator.await_condition("EtcdReady", "True", seconds=120)
        objects = operator.objects()
        operator.apply(second)
        told = operator.await_condition("Conflict", "True", name="second")
        assert f"{NAMESPACE}/{MACHINE}" in told
        assert operator.condition("Ready", "second")["reason"] == "Conflict"
        made = operator.objects() - objects
        assert made == {"memorymachine.mm.memverge.com/second"}
        operator.delete("second")
        assert objects <= operator.objects()  # nothing of the first went with it
        operator.apply(second)
    operator.await_condition("EtcdReady", "True", name="second", seconds=120)
    operator.delete("second")


def test_memory_machine_in_another_namespace_is_told_where_to_be(
    operator: OperatorSite, namespace: str
) -> None:
    wanted = manifest()
    wanted["metadata"]["namespace"] = namespace
    operator.apply(wanted)
    words = ("get", "memorymachine", MACHINE, "-n", namespace, "-o")
    query = 'jsonpath={.status.conditions[?(@.type=="Ready")].message}'
    eventually(lambda: NAMESPACE in operator.cluster.kubectl(*words, query), "where to be")
    operator.cluster.kubectl("delete", "memorymachine", MACHINE, "-n", namespace)
