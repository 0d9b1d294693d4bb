"""What becomes of the cluster's answers: words, tables, exit codes, and an end to waiting."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest

from tests.cluster.waiting import eventually
from tests.kubectl.conftest import FakeKubectl, checkpoint, condition, items, request

REQUESTS = "checkpointrequests.mm.memverge.com"


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ('Error from server (NotFound): checkpoints.mm.memverge.com "x" not found', 3,
         "Checkpoint x is not there"),
        ('Error from server (NotFound): namespaces "demo" not found', 3,
         "the namespace demo is not there"),
        ('Error from server (Forbidden): checkpoints.mm.memverge.com "x" is forbidden: User "eve" '
         'cannot get resource "checkpoints"', 1, "memory-machine-viewer"),
        ("Unable to connect to the server: dial tcp 10.0.0.1:6443: connect: no route to host", 6,
         "the API server is not reached"),
        ("The connection to the server 127.0.0.1:6443 was refused - did you specify the right "
         "host or port?", 6, "the API server is not reached"),
        ("E1126 08:00:00.000000 1 memcache.go:265] \"Unhandled Error\" err=\"couldn't get current\""
         "\nUnable to connect to the server: EOF", 6, "not reached: Unable to connect"),
        ("error: You must be logged in to the server (Unauthorized)", 1, "does not know you"),
        ('error: the server doesn\'t have a resource type "checkpoints"', 1, "not installed"),
        ('Error from server (Forbidden): error when creating "STDIN": admission webhook '
         '"requests.mm.memverge.com" denied the request: statefulset/hz mounts a claim', 1,
         "was refused: statefulset/hz mounts a claim"),
        ('Error from server (InternalError): error when creating "STDIN": Internal error occurred: '
         'failed calling webhook "requests.mmsnap.memverge.com": failed to call webhook: Post '
         '"https://memory-machine-webhook.memverge.svc:443/requests?timeout=10s": dial tcp '
         "10.96.0.7:443: connect: connection refused", 1,
         "kubectl get deployment -n memverge memory-machine-operator"),
        ('Error from server (InternalError): Internal error occurred: failed calling webhook '
         '"policy.example.org": failed to call webhook: context deadline exceeded', 1,
         "the webhook policy.example.org does not answer: context deadline exceeded"),
        ("something nobody thought of", 1, "Checkpoint x: something nobody thought of"),
    ],
)  # fmt: skip
def test_failure_of_kubectl(kubectl: FakeKubectl, said: str, code: int, words: str) -> None:
    kubectl.answer("get", stderr=said + "\n", code=1)
    ended = kubectl.run("describe", "checkpoint/x", "-n", "demo")
    assert ended.returncode == code
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ("API server is not reached" in ended.stderr) == (code == 6)
    assert ended.stdout == ""


def test_created_checkpoint_is_shown_when_it_is_complete(kubectl: FakeKubectl) -> None:
    kubectl.answer("create", echo=True)
    _changes(
        kubectl,
        request("one", condition("Complete", "False", "Cutting", "hz-0 stands still")),
        request("one", condition("Complete", "True", "Committed"), checkpointName="hz-1"),
    )
    kubectl.answer("get", REQUESTS, says=request("one"))
    kubectl.answer("get", "hz-1", says=checkpoint())
    ended = kubectl.run("checkpoint", "create", "hz", "--name", "one")
    assert ended.stderr == ""
    assert ended.stdout == (
        "hz-1: Application consistent, Replicated, 3 members, paused 530.0 ms, wrote 2.0 GiB\n"
    )
    told = kubectl.run("checkpoint", "create", "hz", "--name", "one", "-o", "json").stdout
    assert json.loads(told) == checkpoint()


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("Aborted", 4),
        ("PauseExceeded", 4),
        ("QuiesceTimeout", 4),
        ("Corruption", 5),
        ("WorkloadNotFound", 3),
        ("AgentUnavailable", 6),
        ("ConsistencyUnmet", 1),
    ],
)
def test_failed_request_is_an_exit_code_and_ends_the_waiting(
    kubectl: FakeKubectl, reason: str, code: int
) -> None:
    failed = condition("Failed", "True", reason, "hz-1 did not stand still")
    complete = condition("Complete", "False", reason, "hz-1 did not stand still")
    _changes(kubectl, request("one", complete, failed, completionTime="2026-11-26T08:00:01Z"))
    kubectl.answer("get", says=request("one"))
    began = time.monotonic()
    ended = kubectl.run("wait", "checkpointrequest/one", "--timeout", "20s")
    assert ended.returncode == code
    assert f"failed: hz-1 did not stand still ({reason})" in ended.stderr
    assert "kubectl mmsnap describe checkpointrequest/one -n demo" in ended.stderr
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("reason", "code"), [("BytesGone", 3), ("Corrupt", 5)])
def test_checkpoint_that_was_lost_is_waited_for(
    kubectl: FakeKubectl, reason: str, code: int
) -> None:
    lost = checkpoint()
    lost["status"]["conditions"] = [condition("Ready", "False", reason, "hz-0 at n1")]
    kubectl.answer("get", says=lost)
    ended = kubectl.run("wait", "checkpoint/hz-1", "--for", "Durable", "--timeout", "20s")
    assert ended.returncode == code
    assert "failed: hz-0 at n1" in ended.stderr
    assert kubectl.asked == [["get", "checkpoints.mm.memverge.com", "hz-1", "-o", "json"]] * 2


def test_watch_that_comes_in_pieces(kubectl: FakeKubectl) -> None:
    """A pipe cuts where it likes, also in the middle of a letter."""
    early = request("one", condition("Complete", "False", "Cutting", "früh"))
    late = request("one", condition("Complete", "True", "Committed", "fertig: müßig"))
    text = "".join(
        json.dumps({"type": kind, "object": seen}, indent=4, ensure_ascii=False) + "\n"
        for kind, seen in (("ADDED", early), ("MODIFIED", late))
    )
    raw = text.encode().decode("latin-1")
    cut = raw.index("Ã") + 1
    kubectl.answer("get", "--watch", pieces=[raw[:97], raw[97:cut], raw[cut:]], raw=True, pace=0.2)
    kubectl.answer("get", says=request("one"))
    ended = kubectl.run("wait", "checkpointrequest/one", "--timeout", "20s")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "checkpointrequest/one is Complete\n"


def test_wait_for_what_never_comes_has_an_end(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", "--watch", pieces=["", ""], pace=30)
    kubectl.answer("get", says=request("one"))
    began = time.monotonic()
    ended = kubectl.run("wait", "checkpointrequest/one", "--timeout", "1s")
    assert time.monotonic() - began < 5
    assert ended.returncode == 1
    assert "nobody took it up within 1 s" in ended.stderr
    assert "memory-machine-operator" in ended.stderr


def test_interrupted_wait_says_that_the_request_goes_on(kubectl: FakeKubectl) -> None:
    kubectl.answer("create", echo=True)
    kubectl.answer("get", "--watch", pieces=["", ""], pace=20)
    kubectl.answer("get", says=request("one"))
    with kubectl.starts("checkpoint", "create", "hz", "--name", "one") as running:
        eventually(lambda: any("--watch" in words for words in kubectl.asked), "the watch")
        running.send_signal(signal.SIGINT)
        _, complained = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "checkpointrequest/one goes on without you: kubectl mmsnap wait" in complained
    assert "Traceback" not in complained


_AWAY = "The connection to the server 127.0.0.1:6443 was refused\n"


def test_api_server_that_is_away_for_a_moment_after_the_request_was_made(
    kubectl: FakeKubectl,
) -> None:
    kubectl.answer("create", echo=True)
    kubectl.answer("get", "one", stderr=_AWAY, code=1, times=2)
    kubectl.answer("get", "hz-1", stderr=_AWAY, code=1, times=1)
    done = request("one", condition("Complete", "True", "Committed"), checkpointName="hz-1")
    kubectl.answer("get", "one", says=done)
    kubectl.answer("get", "hz-1", says=checkpoint())
    ended = kubectl.run("checkpoint", "create", "hz", "--name", "one")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("hz-1: ")


def test_request_whose_end_nobody_could_see_is_said_to_go_on(kubectl: FakeKubectl) -> None:
    kubectl.answer("create", echo=True)
    gone = json.dumps({"type": "DELETED", "object": request("one")})
    kubectl.answer("get", "--watch", pieces=[gone])
    kubectl.answer("get", says=request("one"), times=1)
    kubectl.answer("get", stderr=_AWAY, code=1)
    ended = kubectl.run("checkpoint", "create", "hz", "--name", "one")
    assert ended.returncode == 6
    assert "checkpointrequest/one goes on without you: kubectl mmsnap wait" in ended.stderr


def test_wait_needs_no_timeout(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", says=request("one", condition("Complete", "True", "Committed")))
    assert kubectl.run("wait", "one").stdout == "checkpointrequest/one is Complete\n"
    assert kubectl.run("wait", "one", "--for", "Complete", "-n", "demo").returncode == 0


def test_watch_that_the_server_ends_is_begun_again(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", "--watch", pieces=[], code=1)
    kubectl.answer("get", says=request("one", condition("Complete", "False", "Waiting", "x y z")))
    ended = kubectl.run("wait", "checkpointrequest/one", "--timeout", "2s")
    assert ended.returncode == 1
    assert "is not Complete after 2 s: x y z" in ended.stderr
    assert len([words for words in kubectl.asked if "--watch" in words]) >= 2


def test_request_that_is_deleted_meanwhile_is_waited_for(kubectl: FakeKubectl) -> None:
    kubectl.answer(
        "get", "--watch", pieces=[json.dumps({"type": "DELETED", "object": request("one")})]
    )
    kubectl.answer("get", "checkpointrequests.mm.memverge.com", says=request("one"))
    ended = kubectl.run("wait", "checkpointrequest/one", "--timeout", "20s")
    assert ended.returncode != 0
    assert "is not Complete" in ended.stderr or "nobody took it up" in ended.stderr


def test_lists_for_people_and_for_programs(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", says=items(checkpoint("hz-1"), checkpoint("hz-2", pinned=True)))
    shown = kubectl.run("checkpoint", "list").stdout.splitlines()
    assert shown[0].split()[:4] == ["NAME", "OF", "STATE", "MEMBERS"]
    assert shown[1].split()[:4] == ["hz-1", "demo--hz", "Ready", "3"]
    assert "2.0 GiB" in shown[1]
    assert "530.0 ms" in shown[1]
    assert "pinned" in shown[2]
    assert kubectl.run("checkpoint", "list", "-A").stdout.startswith("NAMESPACE")
    told = json.loads(kubectl.run("checkpoint", "list", "-o", "json").stdout)
    assert [one["metadata"]["name"] for one in told] == ["hz-1", "hz-2"]


def test_failed_clustersnap_is_listed_with_its_reason(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", says=items(request("one", condition("Failed", "True", "Aborted"))))
    assert "Failed: Aborted" in kubectl.run("clustersnap", "list").stdout
    assert "--selector=memory-machine.memverge.com/clustersnap" in kubectl.asked[-1]


def test_description_has_members_and_events(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", "events", says=items({"message": "taken by n1", "reason": "Committed"}))
    kubectl.answer("get", says=checkpoint())
    shown = kubectl.run("describe", "checkpoint/hz-1").stdout
    assert "demo--hz" in shown
    assert "Committed" in shown
    assert "hz-0" in shown
    assert "taken by n1" in shown
    assert "--field-selector=involvedObject.uid=c" in kubectl.asked[-1]


def _machine(**status: Any) -> dict[str, Any]:
    return {"kind": "MemoryMachine", "metadata": {"name": "m"}, "status": status}


_NODES = [
    {
        "name": "n1", "pool": "/var/memverge/pool", "sizeBytes": 1 << 30, "freeBytes": 1 << 29,
        "usedBytes": 1 << 29, "memberCount": 1,
        "regions": [{"group": "demo--hz", "member": "hz-0", "usedBytes": 1 << 28}],
    },
    {"name": "n2", "unreachable": "connection refused"},
]  # fmt: skip


def test_usage_of_nodes(kubectl: FakeKubectl) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    kubectl.answer("get", says=items(_machine(nodes=_NODES, usageTime=now)))
    shown = kubectl.run("usage")
    assert shown.stderr == ""
    assert "512.0 MiB" in shown.stdout
    assert "unreachable: connection refused" in shown.stdout
    assert "--namespace=memverge" in kubectl.asked[-1]
    shown = kubectl.run("show-usage", "--node", "n1")
    assert "hz-0" in shown.stdout
    assert "256.0 MiB" in shown.stdout
    assert json.loads(kubectl.run("show-usage", "--node", "n1", "-o", "json").stdout) == _NODES[0]
    unknown = kubectl.run("show-usage", "--node", "n9")
    assert unknown.returncode == 3
    assert "nodes with one: n1, n2" in unknown.stderr


def test_old_usage_is_shown_as_if_it_were_new(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", says=items(_machine(nodes=_NODES, usageTime="2026-01-01T00:00:00Z")))
    shown = kubectl.run("usage")
    assert shown.returncode == 0
    assert "old: the operator does not run" in shown.stderr


def test_usage_that_nobody_wrote(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", says=items(_machine()))
    assert "is not known yet" in kubectl.run("usage").stderr
    kubectl.answers.clear()
    kubectl.answer("get", says=items())
    ended = kubectl.run("usage")
    assert ended.returncode == 3
    assert "there is no MemoryMachine in memverge" in ended.stderr


def test_first_figures_are_not_waited_for(kubectl: FakeKubectl) -> None:
    """As when the MemoryMachine has just become ready."""
    kubectl.answer("get", says=items(_machine()))
    waiting = kubectl.starts("usage", "--fresh")
    eventually(lambda: len(kubectl.asked) >= 3, "it to look again")
    assert waiting.poll() is None
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    kubectl.answers.clear()
    kubectl.answer("get", says=items(_machine(nodes=_NODES, usageTime=now)))
    shown, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0
    assert "n1" in shown


def test_pods_are_listed_for_those_who_may_not_see_nodes(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", "pods", says=items(_pod(), {**_pod(), "spec": {"containers": []}}))
    kubectl.answer("get", stderr="Error from server (Forbidden): x cannot list", code=1)
    shown = kubectl.run("list")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[1].split() == [
        "hz-0", "main", "n1", "Ready", "demo--hz", "-"
    ]  # fmt: skip
    kubectl.answers[-1:] = []
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    kubectl.answer("get", says=items(_machine(nodes=_NODES, usageTime=now)))
    (told,) = json.loads(kubectl.run("list", "-o", "json").stdout)
    assert told["used_bytes"] == 1 << 28
    assert told["member"] == "hz-0"


def _pod() -> dict[str, Any]:
    env = [
        {"name": "MMSNAP_GROUP", "value": "demo--hz"},
        {"name": "MMSNAP_MEMBER", "value": "$(MM_POD_NAME)"},
    ]
    return {
        "metadata": {"name": "hz-0", "namespace": "demo"},
        "spec": {
            "nodeName": "n1",
            "volumes": [{"name": "mmsnap", "csi": {"driver": "mmsnap.memverge.com"}}],
            "containers": [{"name": "main", "env": env}, {"name": "other"}],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def _changes(kubectl: FakeKubectl, *seen: dict[str, Any]) -> None:
    """A watch that tells these, and then nothing more."""
    events = [json.dumps({"type": "MODIFIED", "object": one}) for one in seen]
    kubectl.answer("get", "--watch", pieces=[*events, ""], pace=0.05)
