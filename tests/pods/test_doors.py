"""Pods at their doors: what they share with nobody, and what is left of them."""

from __future__ import annotations

import os
import socket
import uuid

import grpc
import pytest

from mmsnap.pods import mounts
from mmsnap.rpc.v1 import mmsnap_pb2 as pb
from tests.pods.kubelet import Kubelet, PodOfKubelet


def test_a_user_without_rights_attaches_and_its_successor_has_another_number(
    node: Kubelet,
) -> None:
    first = PodOfKubelet("hz-0")
    node.publish(first)
    one = node.run(first, user=1234)
    assert one.ask("attach") is None
    one.ask("put", 7)
    one.ask("checkpoint", "seven")
    one.ask("put", 8)
    one.kill()
    node.unpublish(first)
    second = PodOfKubelet("hz-0")
    node.publish(second)
    other = node.run(second, user=4321)
    assert other.ask("attach") == "seven"
    assert other.ask("get") == 7
    other.ask("put", 9)
    other.ask("restore", "seven")
    assert other.ask("get") == 7


def test_two_pods_of_a_workload_are_cut_together(node: Kubelet) -> None:
    pods = [PodOfKubelet("hz-0"), PodOfKubelet("hz-1")]
    for pod in pods:
        node.publish(pod)
    containers = [node.run(pod) for pod in pods]
    for container in containers:
        container.ask("attach")
        container.ask("put", 3)
    containers[0].ask("checkpoint", "both")
    (taken,) = node.client.checkpoints("demo--hz")
    assert sorted(part.member for part in taken.members) == ["hz-0", "hz-1"]


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Checkpoint", pb.CheckpointRequest(group="other--hz")),
        ("Attach", pb.AttachRequest(group="other--hz", member="hz-0", pid=1, size_bytes=1 << 20)),
        ("Attach", pb.AttachRequest(group="demo--hz", member="hz-1", pid=1, size_bytes=1 << 20)),
        ("ListCheckpoints", pb.ListCheckpointsRequest()),
        ("ListMembers", pb.ListMembersRequest(group="other--hz")),
        ("Restore", pb.RestoreRequest(group="other--hz", checkpoint="latest")),
        ("Export", pb.ExportRequest(group="demo--hz", checkpoint="latest")),
        ("Clone", pb.CloneRequest(group="demo--hz", checkpoint="latest", new_group="x")),
        ("GetUsage", pb.GetUsageRequest()),
        ("Detach", pb.DetachRequest(group="demo--hz", member="hz-0")),
        ("RemoveNode", pb.RemoveNodeRequest(name="n1")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pod_reaches_what_is_not_its_own(node: Kubelet, method: str, request_: object) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    answer = getattr(node.agent_of(pod), method)
    streamed = method in ("Checkpoint", "Export")
    with pytest.raises(grpc.RpcError) as refused:
        next(answer(request_, timeout=10)) if streamed else answer(request_, timeout=10)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_pod_names_a_process_of_the_host_and_has_it_ended(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    request = pb.AttachRequest(group="demo--hz", member="hz-0", pid=os.getpid(), size_bytes=4096)
    with pytest.raises(grpc.RpcError) as refused:
        node.agent_of(pod).Attach(request, timeout=10)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_volume_shows_memory_of_others(node: Kubelet) -> None:
    mine, other = PodOfKubelet("hz-0"), PodOfKubelet("hz-0", namespace="secret")
    for pod in (mine, other):
        node.publish(pod)
    shown = {path.name for path in (node.target(mine) / "pool" / "regions").iterdir()}
    assert shown == {"demo--hz.hz-0"}


def test_a_pod_takes_every_place_at_its_door(node: Kubelet) -> None:
    crowd, calm = PodOfKubelet("hz-0"), PodOfKubelet("hz-1")
    for pod in (crowd, calm):
        node.publish(pod)
    door = str(node.pool / "pods" / crowd.uid / "agent.sock.members")
    lines = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(100)]
    try:
        for line in lines:
            line.connect(door)
        assert node.run(calm).ask("attach") is None
    finally:
        for line in lines:
            line.close()
    assert "refused a connection" in node.said()


def test_the_service_is_killed_and_pods_stay_shut_out(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    container = node.run(pod)
    container.ask("attach")
    container.ask("put", 5)
    node.kill_service()
    container.ask("put", 6)
    node.start()
    node.until(lambda: container.ask("checkpoint", "later") == "later", "it is a member again")
    assert container.ask("get") == 6


def test_usage_stays_up_after_a_pod_without_checkpoints_ended(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    before = node.used_bytes()
    container = node.run(pod)
    container.ask("attach")
    container.ask("put", 1)
    assert node.used_bytes() > before + (1 << 20)
    container.kill()
    node.unpublish(pod)
    node.until(lambda: node.used_bytes() == before, "its memory goes")
    assert not list((node.pool / "pods").iterdir())
    assert not node.client.members()


def test_a_checkpoint_goes_with_the_pod_it_is_of(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    container = node.run(pod)
    container.ask("attach")
    container.ask("put", 1)
    container.ask("checkpoint", "kept")
    container.kill()
    node.unpublish(pod)
    node.until(lambda: not list((node.pool / "pods").iterdir()), "the pod is forgotten")
    node.client.verify("demo--hz", "kept")


def test_a_kubelet_that_asks_twice_gets_two_of_everything(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    mounted = mounts.mounted_under(node.target(pod))
    node.publish(pod)
    assert mounts.mounted_under(node.target(pod)) == mounted
    node.unpublish(pod)
    node.unpublish(pod)
    assert not mounts.mounted_under(node.target(pod))
    assert not node.target(pod).exists()


def test_a_kubelet_that_does_not_name_the_pod_is_believed(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    for context in ({}, {**pod.context(), "csi.storage.k8s.io/pod.uid": "../../etc"}):
        with pytest.raises(grpc.RpcError, match="podInfoOnMount"):
            node.publish(pod, context)


def test_a_pod_of_before_whose_record_is_damaged_keeps_the_service_from_starting(
    node: Kubelet,
) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    node.kill_service()
    (node.pool / "pods" / f"{uuid.uuid4()}.json").write_text("{")
    node.start()
    assert "is not served" in node.said()
    assert node.run(pod).ask("attach") is None


def test_usage_tells_nothing_of_memory_in_a_container(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    container = node.run(pod)
    container.ask("attach")
    container.ask("put", 1)
    usage = node.client.usage()
    (region,) = [region for region in usage.regions if region.region == "demo--hz.hz-0"]
    assert region.used_bytes > 1 << 20
    assert region.private_bytes >= 1 << 20


def test_a_pod_that_never_attached_leaves_its_folders(node: Kubelet) -> None:
    pod = PodOfKubelet("hz-0")
    node.publish(pod)
    node.unpublish(pod)
    folders = [node.pool / "regions", node.pool / "processes", node.pool / "pods"]
    node.until(lambda: not any(list(folder.iterdir()) for folder in folders), "its folders go")
