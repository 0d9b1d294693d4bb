"""What is typed reaches kubectl as it was meant: where, as whom, and what is made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mmsnap.retention import KEEP_LAST_BY_DEFAULT
from tests.kubectl.conftest import FakeKubectl, checkpoint, items, pairs, request

SCHEDULES = "checkpointschedules.mm.memverge.com"


@pytest.mark.parametrize(
    "words",
    [
        ["-n", "demo", "--context=c", "--kubeconfig", "/k", "checkpoint", "list"],
        ["checkpoint", "-n", "demo", "--context=c", "--kubeconfig", "/k", "list"],
        ["checkpoint", "list", "--namespace", "demo", "--context=c", "--kubeconfig", "/k"],
        ["-n", "other", "--context=x", "--kubeconfig", "/k", "checkpoint", "list", "-n", "demo",
         "--context", "c"],
    ],
)  # fmt: skip
def test_where_to_look_is_lost_on_the_way(kubectl: FakeKubectl, words: list[str]) -> None:
    kubectl.answer("get", says=items())
    assert kubectl.run(*words).returncode == 0
    (asked,) = kubectl.asked
    assert pairs(asked) == {"--namespace=demo", "--context=c", "--kubeconfig=/k"}


def test_nothing_said_is_left_to_the_kubeconfig(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", says=items())
    kubectl.run("checkpoint", "list")
    kubectl.run("checkpoint", "list", "-A")
    assert pairs(kubectl.asked[0]) == set()
    assert pairs(kubectl.asked[1]) == {"--all-namespaces"}


def made(kubectl: FakeKubectl, *words: str) -> dict[str, Any]:
    """What a command gives to kubectl."""
    kubectl.answer("create", echo=True)
    missing = "Error from server (NotFound): checkpointschedules not found"
    kubectl.answer("get", SCHEDULES, stderr=missing, code=1)
    kubectl.answer("get", "statefulsets.apps", says=_set_with("--nopause --timeout=30"))
    ended = kubectl.run(*words)
    assert ended.returncode == 0, ended.stderr
    return kubectl.given[-1]


def test_checkpoint_that_asks_for_less_than_was_typed(kubectl: FakeKubectl) -> None:
    given = made(
        kubectl,
        *("checkpoint", "create", "sts/hz", "--engine", "process", "--profile", "hazelcast"),
        *("--consistency", "application", "--durability", "Replicated", "--replicas", "2"),
        *("--volumes", "ignore", "--max-pause", "0.8s", "--timeout", "1m", "--ttl", "1h"),
        *("--disruption-budgets", "ignore", "--delete-bytes", "--no-wait"),
    )
    assert given["kind"] == "CheckpointRequest"
    assert given["metadata"] == {"generateName": "hz-"}
    assert given["spec"] == {
        "source": {"kind": "StatefulSet", "name": "hz"},
        "engine": "process",
        "profile": "hazelcast",
        "consistency": "Application",
        "durability": "Replicated",
        "replicas": 2,
        "volumes": "Ignore",
        "disruptionBudgets": "Ignore",
        "maxPauseMilliseconds": 800,
        "timeoutSeconds": 60,
        "ttlSecondsAfterFinished": 3600,
        "deletionPolicy": "Delete",
    }


def test_what_was_not_typed_is_left_to_the_cluster(kubectl: FakeKubectl) -> None:
    given = made(
        kubectl, "checkpoint", "create", "--selector", "app=hz, tier=data", "--name=a", "--no-wait"
    )
    assert given["metadata"] == {"name": "a"}
    source = {"selector": {"matchLabels": {"app": "hz", "tier": "data"}}}
    assert given["spec"] == {"source": source}


def test_clustersnap_with_the_options_of_earlier_releases(kubectl: FakeKubectl) -> None:
    given = made(
        kubectl,
        *("clustersnap", "create", "before", "--namespace", "demo", "--statefulset", "hz"),
        *("--profile", "hazelcast", "--profile-options", "--nopause", "--no-wait"),
    )
    assert given["metadata"]["name"] == "before"
    assert given["spec"] == {
        "source": {"kind": "StatefulSet", "name": "hz"},
        "profile": "hazelcast",
        "deletionPolicy": "Delete",
    }
    assert pairs(kubectl.asked[-1]) == {"--namespace=demo"}


def test_profile_options_that_the_pods_do_not_have_are_not_passed_over(
    kubectl: FakeKubectl,
) -> None:
    kubectl.answer("get", "statefulsets.apps", says=_set_with("--timeout=30"))
    ended = kubectl.run(
        *("clustersnap", "create", "a", "--statefulset", "hz", "--profile-options", "--nopause")
    )
    assert ended.returncode == 1
    assert "run their profile without --nopause" in ended.stderr
    assert "MMSNAP_PROFILE_OPTIONS" in ended.stderr
    assert kubectl.given == []


def test_restore_of_a_clustersnap_makes_new_pods(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", "before", says=request("before", checkpointName="hz-1"))
    given = made(kubectl, "clustersnap", "restore", "before", "--no-wait")
    assert given["metadata"] == {"generateName": "before-"}
    assert given["spec"] == {"source": {"checkpointName": "hz-1"}, "strategy": "Recreate"}


def test_deleted_clustersnap_leaves_its_bytes(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", "before", says=request("before", checkpointName="hz-1"))
    kubectl.answer("patch")
    kubectl.answer("delete")
    assert kubectl.run("clustersnap", "delete", "before", "--yes").returncode == 0
    told = [words[:3] for words in kubectl.asked[1:]]
    assert told == [
        ["patch", "checkpoints.mm.memverge.com", "hz-1"],
        ["delete", "checkpoints.mm.memverge.com", "hz-1"],
        ["delete", "checkpointrequests.mm.memverge.com", "before"],
    ]
    assert '{"spec": {"deletionPolicy": "Delete"}}' in kubectl.asked[1][-1]


def test_restores(kubectl: FakeKubectl) -> None:
    given = made(kubectl, "restore", "hz-1", "--no-wait")
    assert given["spec"] == {
        "source": {"checkpointName": "hz-1"}, "strategy": "InPlace", "preflightOnly": False
    }  # fmt: skip
    given = made(
        kubectl, "restore", "hz-1", "--from", "demo", "--as", "hz-copy", "--no-wait", "--check"
    )
    assert given["spec"] == {
        "source": {"checkpointName": "hz-1", "namespace": "demo"},
        "strategy": "Clone",
        "preflightOnly": True,
        "target": {"kind": "StatefulSet", "name": "hz-copy"},
    }
    given = made(
        kubectl, "restore", "--schedule", "s", "--strategy", "recreate", "--timeout=5m", "--no-wait"
    )
    assert given["spec"]["source"] == {"scheduleName": "s"}
    assert given["spec"]["strategy"] == "Recreate"
    assert given["spec"]["timeoutSeconds"] == 300


def test_schedules(kubectl: FakeKubectl) -> None:
    given = made(
        kubectl, "schedule", "set", "s", "hz", "--every", "1 s", "--keep-last=60",
        "--keep-within", "24h",
    )  # fmt: skip
    assert given["spec"] == {
        "interval": "1s",
        "retention": {"keepLast": 60, "keepWithin": "24h"},
        "template": {"spec": {"source": {"kind": "StatefulSet", "name": "hz"}}},
    }
    given = made(
        kubectl, "schedule", "set", "s", "deploy/web", "--cron", "0 3 * * *",
        "--time-zone", "Europe/Berlin",
    )  # fmt: skip
    assert given["spec"]["schedule"] == "0 3 * * *"
    assert given["spec"]["timeZone"] == "Europe/Berlin"
    assert given["spec"]["template"]["spec"]["source"]["kind"] == "Deployment"


def changed(kubectl: FakeKubectl, there: dict[str, Any], *words: str) -> dict[str, Any]:
    """The patch of a schedule that is there."""
    name = str(len(kubectl.asked))
    schedule = {"metadata": {"name": name, "namespace": "demo"}, "spec": there}
    kubectl.answer("get", SCHEDULES, name, says=schedule)
    kubectl.answer("patch")
    ended = kubectl.run("schedule", "set", name, "hz", *words)
    assert ended.returncode == 0, ended.stderr
    patch, _ = kubectl.asked[-2:]
    assert patch[0] == "patch"
    given: dict[str, Any] = json.loads(patch[-1].removeprefix("--patch="))["spec"]
    return given


def test_schedule_that_is_there_loses_only_what_was_typed_anew(kubectl: FakeKubectl) -> None:
    """Fifty checkpoints go when the sixty that are kept become the agents' ten."""
    source = {"kind": "StatefulSet", "name": "hz"}
    takes = {"source": source, "engine": "process", "timeoutSeconds": 60}
    there = {"interval": "1s", "retention": {"keepLast": 60}, "template": {"spec": takes}}
    pace = {"interval": "2s", "schedule": None, "timeZone": None}
    assert changed(kubectl, there, "--every", "2s") == pace
    assert changed(kubectl, there, "--every", "2s", "--keep-last", "5") == {
        **pace,
        "retention": {"keepLast": 5},
    }
    assert changed(kubectl, there, "--cron", "0 3 * * *") == {
        "schedule": "0 3 * * *",
        "interval": None,
    }
    # The API server refuses it, and says why.
    other = changed(kubectl, there, "--every", "2s", "--engine", "memory")["template"]["spec"]
    assert other == {**takes, "engine": "memory"}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"interval": "1s"}, f"every 1s, keeps the newest {KEEP_LAST_BY_DEFAULT}"),
        ({"interval": "1s", "retention": {"keepLast": 0}}, "every 1s, keeps the newest 10"),
        ({"interval": "60s"}, "every 60s, keeps all"),
        ({"interval": "1s", "retention": {"keepWithin": "1h"}}, "keeps those younger than 1h"),
        ({"schedule": "0 3 * * *"}, "keeps all"),
    ],
)
def test_what_is_kept_is_told_as_it_is(
    kubectl: FakeKubectl, spec: dict[str, Any], told: str
) -> None:
    takes = {"spec": {"source": {"kind": "StatefulSet", "name": "hz"}}}
    schedule = {"metadata": {"name": "s"}, "spec": {**spec, "template": takes}}
    kubectl.answer("get", SCHEDULES, says=schedule)
    kubectl.answer("patch")
    ended = kubectl.run("schedule", "set", "s", "hz", "--every", "1s")
    assert ended.stdout.strip().endswith(told), ended.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["checkpoint", "create"],
        ["checkpoint", "create", "hz", "--selector", "a=b"],
        ["checkpoint", "create", "--selector", "a"],
        ["checkpoint", "create", "secret/hz"],
        ["checkpoint", "create", "sts/"],
        ["checkpoint", "create", "hz", "--max-pause", "fast"],
        ["restore"],
        ["restore", "hz-1", "--schedule", "s"],
        ["restore", "hz-1", "--strategy", "clone"],
        ["schedule", "set", "s", "hz"],
        ["schedule", "set", "s", "hz", "--every", "1s", "--cron", "* * * * *"],
        ["clustersnap", "create", "a"],
        ["clustersnap", "create", "a", "--statefulset=hz", "--profile-options", "it's"],
        ["describe", "pod/hz-0"],
        ["checkpoint", "delete", "hz-1"],
    ],
)
def test_what_makes_no_sense_reaches_the_cluster(kubectl: FakeKubectl, words: list[str]) -> None:
    kubectl.answer("get", says=checkpoint())
    ended = kubectl.run(*words)
    assert ended.returncode == 2, ended.stderr
    assert all(asked[0] == "get" for asked in kubectl.asked)


def _set_with(options: str) -> dict[str, Any]:
    env = [{"name": "MMSNAP_PROFILE_OPTIONS", "value": options}]
    pod = {"spec": {"containers": [{"name": "main", "env": env}]}}
    return {"kind": "StatefulSet", "metadata": {"name": "hz"}, "spec": {"template": pod}}
