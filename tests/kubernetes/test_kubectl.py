"""`kubectl mmsnap` on a real API server: what it makes is taken, with a person's own rights.

The test is the operator here, so that every end of a request can be had at will; that the operator
brings them about is tested where requests are.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.kubectl_user import User

_DEFINITIONS = sorted((Path(__file__).parents[2] / "operator/manifests").glob("*.crd.yaml"))
_NOW = "2026-11-26T08:00:00Z"
_ENDED_SECONDS = 30


@pytest.fixture(scope="module")
def definitions(cluster: Cluster) -> Iterator[Cluster]:
    files = [word for file in _DEFINITIONS for word in ("-f", str(file))]
    for file in _DEFINITIONS:
        cluster.apply(file)
    cluster.kubectl("wait", "--for=condition=Established", *files, "--timeout=30s")
    yield cluster
    cluster.kubectl("delete", "--ignore-not-found", *files, seconds=120)


@pytest.fixture
def admin(definitions: Cluster, tmp_path: Path) -> Iterator[User]:
    user = User(definitions, tmp_path / "admin")
    yield user
    user.leave()


def tell(
    cluster: Cluster, namespace: str, thing: str, *conditions: dict[str, str], **more: Any
) -> None:
    """What the operator would write into a status."""
    patch = json.dumps({"status": {"conditions": list(conditions), **more}})
    cluster.kubectl(
        "patch", thing, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch
    )


def condition(kind: str, status: str, reason: str, message: str = "-") -> dict[str, str]:
    told = {"type": kind, "status": status, "reason": reason, "message": message}
    return {**told, "lastTransitionTime": _NOW}


def asked(cluster: Cluster, namespace: str, name: str) -> None:
    """Returns when there is such a request."""
    eventually(
        lambda: cluster.get("checkpointrequest", name, "-n", namespace), f"the request {name}", 20
    )


def taken(cluster: Cluster, namespace: str, name: str) -> None:
    """A Checkpoint as the operator makes them."""
    cluster.apply(
        {
            "apiVersion": "mm.memverge.com/v1alpha1",
            "kind": "Checkpoint",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"group": f"{namespace}--hz", "epoch": 41},
        }
    )
    tell(
        cluster, namespace, f"checkpoint/{name}", condition("Ready", "True", "Committed"),
        consistency="Application", durability="Durable", pauseMilliseconds=530,
        sizeBytes=2 << 30, memberCount=3, createdTime=_NOW,
    )  # fmt: skip


def ended(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    said, complained = running.communicate(timeout=_ENDED_SECONDS)
    return running.returncode, said, complained


def watches(running: subprocess.Popen[str]) -> bool:
    """Whether a child of it is a kubectl that watches."""
    process = Path(f"/proc/{running.pid}")
    children = (process / f"task/{running.pid}/children").read_text().split()
    return any(b"--watch" in Path(f"/proc/{child}/cmdline").read_bytes() for child in children)


def test_checkpoint_is_waited_for_and_shown(
    definitions: Cluster, namespace: str, admin: User
) -> None:
    running = admin.starts("checkpoint", "create", "sts/hz", "-n", namespace, "--name", "one")
    asked(definitions, namespace, "one")
    request = "checkpointrequest/one"
    tell(definitions, namespace, request, condition("Complete", "False", "Cutting"))
    taken(definitions, namespace, "hz-1")
    done = condition("Complete", "True", "Committed")
    tell(definitions, namespace, request, done, checkpointName="hz-1", completionTime=_NOW)
    code, said, complained = ended(running)
    assert (code, complained) == (0, "")
    assert said.startswith("hz-1: Application consistent, Durable, 3 members, paused 530.0 ms")
    assert "hz-1" in admin.mmsnap("checkpoint", "list", "-n", namespace).stdout
    shown = admin.mmsnap("describe", "hz-1", "-n", namespace)
    assert "Committed" in shown.stdout, shown.stderr


def test_failed_checkpoint_is_told_at_once(
    definitions: Cluster, namespace: str, admin: User
) -> None:
    running = admin.starts("checkpoint", "create", "sts/hz", "-n", namespace, "--name", "one")
    asked(definitions, namespace, "one")
    why = ("PauseExceeded", "hz-1 would stand still for 2 s")
    tell(
        definitions, namespace, "checkpointrequest/one",
        condition("Complete", "False", *why), condition("Failed", "True", *why),
        completionTime=_NOW,
    )  # fmt: skip
    code, _, complained = ended(running)
    assert code == 4
    assert "hz-1 would stand still for 2 s" in complained


def test_wait_outlives_the_api_server_and_ends_with_the_object(
    definitions: Cluster, namespace: str, admin: User
) -> None:
    made = admin.mmsnap(
        "checkpoint", "create", "sts/hz", "-n", namespace, "--name", "one", "--no-wait"
    )
    assert made.stdout == "checkpointrequest/one\n", made.stderr
    running = admin.starts("wait", "checkpointrequest/one", "-n", namespace, "--timeout", "90s")
    eventually(lambda: watches(running), "the watch")
    definitions.restart("apiserver")
    tell(
        definitions, namespace, "checkpointrequest/one", condition("Complete", "True", "Committed")
    )
    code, said, complained = ended(running)
    assert code == 0, complained
    assert said == "checkpointrequest/one is Complete\n"

    admin.mmsnap("checkpoint", "create", "sts/hz", "-n", namespace, "--name", "two", "--no-wait")
    running = admin.starts("wait", "checkpointrequest/two", "-n", namespace, "--timeout", "90s")
    eventually(lambda: watches(running), "the watch")
    definitions.kubectl("delete", "checkpointrequest/two", "-n", namespace)
    code, _, complained = ended(running)
    assert code == 3
    assert "CheckpointRequest two is not there" in complained


def test_clustersnap_from_its_making_to_its_end(
    definitions: Cluster, namespace: str, admin: User
) -> None:
    words = ("--namespace", namespace, "--statefulset", "hz", "--profile", "hazelcast")
    running = admin.starts("clustersnap", "create", "before", *words)
    asked(definitions, namespace, "before")
    taken(definitions, namespace, "hz-1")
    tell(
        definitions, namespace, "checkpointrequest/before",
        condition("Complete", "True", "Committed"), checkpointName="hz-1", memberCount=3,
    )  # fmt: skip
    assert ended(running)[0] == 0
    again = admin.mmsnap("clustersnap", "create", "before", *words)
    assert again.returncode == 1
    assert "before is there already" in again.stderr
    listed = admin.mmsnap("clustersnap", "list", "-n", namespace).stdout.splitlines()
    assert listed[1].split()[:4] == ["before", "hz", "Complete", "3"]
    assert listed[1].split()[-1] == "hz-1"

    restored = admin.mmsnap("clustersnap", "restore", "before", "-n", namespace, "--no-wait")
    assert restored.stdout.startswith("restorerequest/before-"), restored.stderr
    (request,) = definitions.get("restorerequests", "-n", namespace)["items"]
    assert request["spec"]["source"] == {"checkpointName": "hz-1"}
    assert request["spec"]["strategy"] == "Recreate"

    gone = admin.mmsnap("clustersnap", "delete", "before", "-n", namespace, "--yes")
    assert gone.returncode == 0, gone.stderr
    left = definitions.get("checkpoints,checkpointrequests", "-n", namespace)["items"]
    assert left == []


def test_what_the_definitions_refuse_is_said_in_their_words(namespace: str, admin: User) -> None:
    ended = admin.mmsnap(
        "checkpoint", "create", "hz", "-n", namespace, "--max-pause", "2h", "--no-wait"
    )
    assert ended.returncode == 1
    assert "spec.maxPauseMilliseconds: Invalid value: 7200000" in ended.stderr
    ended = admin.mmsnap("checkpoint", "create", "hz", "-n", "nowhere", "--no-wait")
    assert ended.returncode == 3
    assert "the namespace nowhere is not there" in ended.stderr


def test_schedule_is_changed_in_place_but_not_what_it_takes(
    definitions: Cluster, namespace: str, admin: User
) -> None:
    def schedule(source: str, *words: str) -> subprocess.CompletedProcess[str]:
        return admin.mmsnap("schedule", "set", "often", source, "-n", namespace, *words)

    assert schedule("hz", "--every", "1s", "--keep-last", "5").stdout == (
        "often: every 1s, keeps the newest 5\n"
    )
    assert schedule("hz", "--cron", "0 3 * * *").stdout == (
        "often: 0 3 * * * (Etc/UTC), keeps the newest 5\n"
    )
    refused = schedule("other", "--every", "1s")
    assert refused.returncode == 1
    assert "what a schedule takes can not be changed: make another one" in refused.stderr
    assert admin.mmsnap("schedule", "suspend", "often", "-n", namespace).returncode == 0
    assert "Suspended" in admin.mmsnap("schedule", "list", "-A").stdout
    # Who sets it anew does not resume it.
    schedule("hz", "--every", "2s")
    spec = definitions.get("checkpointschedule", "often", "-n", namespace)["spec"]
    assert spec["suspend"] is True
    assert spec["interval"] == "2s"
    assert spec["retention"] == {"keepLast": 5}
    assert "schedule" not in spec


def test_pinned_and_shared_checkpoint(definitions: Cluster, namespace: str, admin: User) -> None:
    taken(definitions, namespace, "hz-1")
    assert admin.mmsnap("checkpoint", "pin", "hz-1", "-n", namespace).returncode == 0
    for other in ("staging", "lab"):
        admin.mmsnap("checkpoint", "share", "hz-1", "-n", namespace, "--to", other)
    spec = definitions.get("checkpoint", "hz-1", "-n", namespace)["spec"]
    assert spec["pinned"] is True
    assert spec["allowedNamespaces"] == ["lab", "staging"]
    admin.mmsnap("checkpoint", "unpin", "hz-1", "-n", namespace)
    assert not definitions.get("checkpoint", "hz-1", "-n", namespace)["spec"]["pinned"]
    gone = admin.mmsnap("checkpoint", "delete", "hz-1", "-n", namespace, "--delete-bytes", "--yes")
    assert gone.stdout == "deleted hz-1: its bytes go for good\n", gone.stderr


def test_person_does_only_what_their_rights_allow(
    definitions: Cluster, namespace: str, tmp_path: Path
) -> None:
    """A viewer sees, and takes nothing; elsewhere they see nothing."""
    rights = ("--verb=get,list,watch", "--resource=checkpoints.mm.memverge.com")
    definitions.kubectl("create", "role", "viewer", "-n", namespace, *rights)
    whose = ("--role=viewer", "--user=vera")
    definitions.kubectl("create", "rolebinding", "viewer", "-n", namespace, *whose)
    taken(definitions, namespace, "hz-1")
    vera = User(definitions, tmp_path / "vera", "vera")
    assert "hz-1" in vera.mmsnap("checkpoint", "list", "-n", namespace).stdout
    for words in (
        ("checkpoint", "create", "hz", "-n", namespace),
        ("checkpoint", "pin", "hz-1", "-n", namespace),
        ("checkpoint", "delete", "hz-1", "-n", namespace, "--yes"),
        ("checkpoint", "list", "-n", "default"),
        ("checkpoint", "list", "-A"),
        ("usage",),
    ):
        refused = vera.mmsnap(*words)
        assert refused.returncode == 1, words
        assert "you may not: " in refused.stderr
        assert 'User "vera" cannot' in refused.stderr
        assert "Traceback" not in refused.stderr
    assert definitions.get("checkpoint", "hz-1", "-n", namespace)
