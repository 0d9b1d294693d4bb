"""Small workloads for tests, as objects rather than as text."""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.cluster import Cluster


def pod(name: str, *command: str, **spec: Any) -> dict[str, Any]:
    """A pod of one container, with Debian and Python."""
    container = {
        "name": "main",
        "image": "localhost/debian:bookworm",
        "command": list(command),
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec},
    }


def create(cluster: Cluster, namespace: str, *objects: dict[str, Any]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=text)
