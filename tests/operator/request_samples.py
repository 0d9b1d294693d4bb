"""Small objects for tests of requests: pods as the webhook leaves them, checkpoints, requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mmsnap_sdk.service_records import GroupCheckpoint, GroupMemberCheckpoint, Member

UID = "5b1c7e9e-0000-4000-8000-000000000001"


def captured_pod(
    name: str = "hz-0",
    *,
    owner: tuple[str, str] | None = ("StatefulSet", "hz"),
    engine: str = "process",
    profile: str = "",
    image_id: str = "sha256:1",
    containers: str = "main",
    **labels: str,
) -> dict[str, Any]:
    """A pod that runs, with one container that is a member."""
    references = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    env = [{"name": "MMSNAP_ENGINE", "value": engine}]
    if profile:
        env.append({"name": "MMSNAP_PROFILE", "value": profile})
    csi = {"driver": "mmsnap.memverge.com", "volumeAttributes": {"containers": containers}}
    return {
        "metadata": {
            "name": name,
            "namespace": "demo",
            "labels": labels,
            "ownerReferences": references,
        },
        "spec": {
            "nodeName": "n1",
            "containers": [
                {"name": one, "image": "hz:5", "env": env} for one in containers.split(",")
            ],
            "volumes": [{"name": "mmsnap", "csi": csi}],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"name": one, "imageID": image_id, "state": {"running": {}}}
                for one in containers.split(",")
            ],
        },
    }


def taken(**changed: Any) -> GroupCheckpoint:
    """A checkpoint of two members, as the client gives it."""
    members = tuple(
        GroupMemberCheckpoint(name, 512_100_000, 0, 1 << 20, engine="process", node="n1")
        for name in ("hz-0", "hz-1")
    )
    values: dict[str, Any] = {
        "name": "20261123-101502-5b1c7",
        "epoch": 41,
        "created": datetime(2026, 11, 23, 10, 15, 2, tzinfo=UTC),
        "pause_ns": 512_100_000,
        "hook_ns": 0,
        "bytes_written": 2 << 30,
        "consistency": "application",
        "durability": "captured",
        "labels": {"mm.memverge.com/request": UID},
        "parent": None,
        "pinned": False,
        "automatic": False,
        "members": members,
        "group": "demo--hz",
    }
    return GroupCheckpoint(**{**values, **changed})


def member(name: str, state: str = "attached") -> Member:
    return Member("demo--hz", name, "", state, "fresh", 1, 0, None)  # type: ignore[arg-type]


def stateful_set(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": "hz",
            "namespace": "demo",
            "uid": "1",
            "labels": {"team": "a"},
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "mine": "yes",
            },
        },
        "spec": {
            "replicas": 2,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "hz"}},
            "template": {
                "metadata": {"labels": {"app": "hz"}},
                "spec": {"containers": [{"name": "main", "image": "hz:5"}]},
            },
            **spec,
        },
    }


def request(kind: str = "CheckpointRequest", uid: str = UID, **spec: Any) -> dict[str, Any]:
    known = {"consistency": "Crash", "durability": "Captured", "timeoutSeconds": 60}
    return {
        "apiVersion": "mm.memverge.com/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": "one",
            "namespace": "demo",
            "uid": uid,
            "creationTimestamp": "2026-11-23T10:15:02Z",
        },
        "spec": {**known, **spec},
    }
