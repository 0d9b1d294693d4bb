"""Pods as people and controllers make them, for the tests of the webhook."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mmsnap_operator.webhook import wishes

Manifest = dict[str, Any]

NAMES = ("app", "side", "proxy")
OWN_NAME = {"fieldRef": {"fieldPath": "metadata.name"}}
VARIABLES = [
    {"name": "HOME", "value": "/"},
    {"name": "SELF", "value": "$(MM_POD_NAME).svc"},
    {"name": "MM_POD_NAME", "valueFrom": OWN_NAME},
    {"name": "MMSNAP_ON_LOSS", "value": "wait"},
    {"name": "MMSNAP_ADDRESS", "value": "unix:///run/mmsnap/agent.sock"},
]
BAD_VARIABLES = [
    {"name": "MM_POD_NAME", "value": "somebody-else"},
    {"name": "MMSNAP_ENGINE", "value": "memory"},
    {"name": "MMSNAP_ENGINE", "value": "steam"},
    {"name": "MMSNAP_GROUP", "value": "elsewhere"},
]
MOUNTS = [{"name": "data", "mountPath": "/data"}, {"name": "data", "mountPath": "/var/run"}]
BAD_MOUNTS = [
    {"name": "data", "mountPath": "/run/mmsnap/x"},
    {"name": "mmsnap", "mountPath": "/mnt"},
]
ANNOTATIONS = {
    wishes.ASKED: ["yes"],
    "note~/1": ["kept"],
    wishes.ENGINE: ["process", "memory"],
    wishes.ON_LOSS: ["wait"],
}
BAD_ANNOTATIONS = {
    wishes.ASKED: ["", "yes"],
    wishes.CONTAINERS: ["nobody", ",", "app"],
    wishes.ENGINE: ["steam"],
    wishes.ON_LOSS: ["cry"],
    wishes.PROFILE: ["", "hazelcast"],
    wishes.WRAP: ["app", "nobody"],
    f"{wishes.COMMAND}app": ["redis", "[]", "[1]", '["redis"]'],
}
OWNERS = [
    {"kind": "StatefulSet", "name": "hz", "controller": True},
    {"kind": "ReplicaSet", "name": "web-7d4b9c", "controller": True},
    {"kind": "ReplicaSet", "name": "a.b--c-7d4b9c", "controller": True},
    {"kind": "Node", "name": "n1"},
]
SPEC = {
    "initContainers": [
        [{"name": "first", "image": "any"}],
        [{"name": "sidecar", "image": "any", "restartPolicy": "Always"}],
    ],
    "volumes": [[], [{"name": "data", "emptyDir": {}}]],
    "nodeSelector": [{"disk": "ssd"}, {"storage": "pmem"}],
    "securityContext": [{"runAsNonRoot": True}, {"runAsUser": 1000}],
}
BAD_SPEC = {
    "initContainers": [[{"name": "mmsnap-install", "image": "any", "command": ["mine"]}]],
    "volumes": [[{"name": "mmsnap", "emptyDir": {}}]],
    "nodeSelector": [{"storage": "no"}],
    "hostNetwork": [True],
    "hostPID": [True],
    "shareProcessNamespace": [True],
    "os": [{"name": "windows"}],
}
QUANTITIES = st.dictionaries(
    st.sampled_from(["cpu", "memory", "example.com/gpu"]), st.sampled_from(["1", "2", "3"])
)


def some(choices: dict[str, list[Any]]) -> st.SearchStrategy[Manifest]:
    """Some of these keys, each with one of its values."""
    return st.fixed_dictionaries(
        {}, optional={key: st.sampled_from(values) for key, values in choices.items()}
    )


def container(name: str, *, bad: bool) -> st.SearchStrategy[Manifest]:
    variables = VARIABLES + (BAD_VARIABLES if bad else [])
    mounts = MOUNTS + (BAD_MOUNTS if bad else [])
    return st.fixed_dictionaries(
        {"name": st.just(name), "image": st.just("any")},
        optional={
            "command": st.lists(st.sampled_from(["--", "sh", "-c"]), max_size=3),
            "args": st.just(["x"]),
            "env": st.lists(st.sampled_from(variables), max_size=3, unique_by=lambda v: v["name"]),
            "volumeMounts": st.lists(
                st.sampled_from(mounts), max_size=2, unique_by=lambda mount: mount["mountPath"]
            ),
            "resources": st.fixed_dictionaries(
                {}, optional={"requests": QUANTITIES, "limits": QUANTITIES}
            ),
            "securityContext": some({"runAsUser": [0, 7], "runAsNonRoot": [True, False]}),
        },
    )


@st.composite
def pods(draw: st.DrawFn, *, bad: bool = False) -> Manifest:
    """Pods that can be captured, or, when `bad`, anything."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    called = [{"name": "hz-0"}, {"name": "a--b.c"}, {"generateName": "web-7d4b9c-"}]
    metadata: Manifest = dict(
        draw(st.sampled_from(called + ([{"generateName": "long-" * 14}] if bad else [])))
    )
    if owner := draw(st.sampled_from([None, *OWNERS])):
        metadata["ownerReferences"] = [owner]
        metadata["labels"] = {"pod-template-hash": "7d4b9c"}
    notes = draw(some(ANNOTATIONS | BAD_ANNOTATIONS if bad else ANNOTATIONS))
    if not bad:
        notes |= draw(wishes_for(names))
    if notes:
        metadata["annotations"] = notes
    containers = [draw(container(name, bad=bad)) for name in names]
    spec = {"containers": containers, **draw(some(SPEC | BAD_SPEC if bad else SPEC))}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def wishes_for(names: list[str]) -> st.SearchStrategy[Manifest]:
    """Annotations that go together with containers of these names."""
    first = names[0]
    return some(
        {
            wishes.CONTAINERS: [first, ", ".join(reversed(names))],
            wishes.WRAP: [first],
            f"{wishes.COMMAND}{first}": ['["redis", "-x"]'],
        }
    )
