"""Workloads that are checkpointed and restored by objects, and what is seen of those."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.pods_site import (
    ASKED,
    ATTACHED_PROGRAM,
    HELD,
    IMAGE,
    PYTHON,
    RESTRICTED,
    UNAWARE_PROGRAM,
    PodsSite,
    pods_site,
)

_API: Final = "mm.memverge.com/v1alpha1"


class RequestsSite(PodsSite):
    """A cluster whose MemoryMachine is ready, and requests in it."""

    def stateful_set(
        self,
        namespace: str,
        name: str,
        *,
        aware: bool,
        replicas: int = 2,
        spread: bool = False,
        **spec: Any,
    ) -> None:
        """A set of programs that count.

        Args:
            aware: in memory of mmsnap's.
            spread: over the nodes that are well.
        """
        program = ATTACHED_PROGRAM if aware else UNAWARE_PROGRAM
        labels = {"app": name}
        container = {
            "name": "main",
            "image": IMAGE,
            "command": [PYTHON, "-c", program],
            "securityContext": RESTRICTED if aware else {"runAsUser": 0},
        }
        pods: dict[str, Any] = {
            "metadata": {"labels": labels, "annotations": dict(ASKED)},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
        }
        if spread:
            apart = {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule",
                "nodeTaintsPolicy": "Honor",
                "labelSelector": {"matchLabels": labels},
            }
            pods["spec"]["topologySpreadConstraints"] = [apart]
        self.cluster.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {
                    "replicas": replicas,
                    "serviceName": name,
                    "podManagementPolicy": "Parallel",
                    "selector": {"matchLabels": labels},
                    "template": pods,
                    **spec,
                },
            }
        )
        self.await_members(namespace, name, replicas)

    def await_members(self, namespace: str, name: str, replicas: int = 2) -> None:
        """Until all of them count."""
        wanted = {f"{namespace}--{name}/{name}-{number}" for number in range(replicas)}

        def attached() -> bool:
            members = self.members()
            return all(members.get(one) == "attached" for one in wanted)

        eventually(attached, f"{namespace}/{name} to attach", 120)
        for number in range(replicas):
            pod = f"{name}-{number}"
            eventually(lambda pod=pod: self.last(namespace, pod) > 2, f"{pod} to count")  # type: ignore[misc]

    def request(self, kind: str, namespace: str, **spec: Any) -> str:
        """A request of this kind; its name."""
        name = f"r{secrets.token_hex(3)}"
        self.cluster.apply(
            {
                "apiVersion": _API,
                "kind": kind,
                "metadata": {"name": name, "namespace": namespace},
                "spec": spec,
            }
        )
        return name

    def said(self, kind: str, namespace: str, name: str) -> str:
        """The reason for which a request is not over, or ended; empty: nobody has seen it yet."""
        found = self.cluster.get(kind, name, "-n", namespace).get("status") or {}
        return reason(found) if found.get("conditions") else ""

    def await_said(self, kind: str, namespace: str, name: str, wanted: str) -> None:
        """Until a request says this."""
        eventually(lambda: self.said(kind, namespace, name) == wanted, f"{name} to say {wanted}")

    def await_begun(self, kind: str, namespace: str, name: str) -> None:
        """Until it has to be brought to an end, whatever comes."""

        def has_begun() -> bool:
            found = self.cluster.get(kind, name, "-n", namespace).get("status") or {}
            return "group" in found

        eventually(has_begun, f"{name} to begin")

    @contextmanager
    def held(self, namespace: str, pod: str) -> Iterator[None]:
        """Every cut waits in a hook of this pod, which knows mmsnap, until the end of this."""

        def run(code: str) -> None:
            words = ("exec", "-n", namespace, pod, "-c", "main", "--", PYTHON, "-c", code)
            self.cluster.kubectl(*words)

        run(f"open({HELD!r}, 'w').close()")
        try:
            yield
        finally:
            run(f"import os; os.unlink({HELD!r})")

    def ends(self, kind: str, namespace: str, name: str, seconds: float = 120) -> dict[str, Any]:
        """The status of a request, once it is over."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.cluster.get(kind, name, "-n", namespace).get("status") or {}
            told = {one["type"]: one for one in found.get("conditions") or ()}
            if any(told.get(each, {}).get("status") == "True" for each in ("Complete", "Failed")):
                return dict(found)
            assert time.monotonic() < deadline, f"{kind} {name}: {json.dumps(found)}"
            time.sleep(0.5)

    def checkpoint(self, namespace: str, name: str, **spec: Any) -> str:
        """The name of a Checkpoint of a set, taken by a request that has to succeed."""
        source = {"kind": "StatefulSet", "name": name}
        made = self.request("CheckpointRequest", namespace, source=source, **spec)
        status = self.ends("checkpointrequest", namespace, made)
        assert reason(status) == "Committed", status
        return str(status["checkpointName"])

    def restore(self, namespace: str, checkpoint: str, strategy: str, **spec: Any) -> str:
        """The reason that a restore ended with."""
        spec = {"source": {"checkpointName": checkpoint}, "strategy": strategy, **spec}
        made = self.request("RestoreRequest", namespace, **spec)
        return reason(self.ends("restorerequest", namespace, made, 200))

    def pods(self, namespace: str, name: str) -> dict[str, str]:
        """Names and UIDs of a set's pods."""
        found = self.cluster.get("pods", "-n", namespace, "-l", f"app={name}")["items"]
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}


def reason(status: dict[str, Any]) -> str:
    """Why a request ended as it did."""
    told = {one["type"]: one for one in status["conditions"]}
    return str(told["Complete"]["reason"])


@contextmanager
def requests_site(cluster: Cluster) -> Iterator[RequestsSite]:
    with pods_site(cluster) as made:
        yield RequestsSite(made.operator)
