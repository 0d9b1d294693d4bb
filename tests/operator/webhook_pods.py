"""Pods as people and controllers make them, for the tests of the webhook."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mmsnap_operator.webhook import wishes

Manifest = dict[str, Any]

NAMES = ("app", "side", "proxy")
QUANTITIES = st.dictionaries(
    st.sampled_from(["cpu", "memory", "example.com/gpu"]), st.sampled_from(["1", "2", "3"])
)
VARIABLES = st.lists(
    st.sampled_from(
        [
            {"name": "HOME", "value": "/"},
            {"name": "SELF", "value": "$(MM_POD_NAME).svc"},
            {"name": "MM_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "MM_POD_NAME", "value": "somebody-else"},
            {"name": "MMSNAP_ENGINE", "value": "memory"},
            {"name": "MMSNAP_ENGINE", "value": "steam"},
            {"name": "MMSNAP_ON_LOSS", "value": "wait"},
            {"name": "MMSNAP_ADDRESS", "value": "unix:///run/mmsnap/agent.sock"},
            {"name": "MMSNAP_GROUP", "value": "elsewhere"},
        ]
    ),
    max_size=4,
)
MOUNTS = st.lists(
    st.sampled_from(
        [
            {"name": "data", "mountPath": "/data"},
            {"name": "data", "mountPath": "/var/run"},
            {"name": "data", "mountPath": "/run/mmsnap/x"},
            {"name": "mmsnap", "mountPath": "/mnt"},
        ]
    ),
    max_size=2,
    unique_by=lambda mount: mount["mountPath"],
)
ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        wishes.ASKED: st.just("yes"),
        "note~/1": st.just("kept"),
        wishes.CONTAINERS: st.sampled_from(["app", "side,app", "proxy", "nobody", ","]),
        wishes.ENGINE: st.sampled_from(["process", "memory", "steam"]),
        wishes.ON_LOSS: st.sampled_from(["wait", "fresh", "cry"]),
        wishes.PROFILE: st.sampled_from(["hazelcast", ""]),
        wishes.WRAP: st.sampled_from(["app", "side", "app,proxy"]),
        f"{wishes.COMMAND}app": st.sampled_from(['["redis", "-x"]', "redis", "[]", "[1]"]),
        f"{wishes.COMMAND}side": st.just('["side"]'),
    },
)
OWNERS = st.sampled_from(
    [
        None,
        {"kind": "StatefulSet", "name": "hz", "controller": True},
        {"kind": "ReplicaSet", "name": "web-7d4b9c", "controller": True},
        {"kind": "ReplicaSet", "name": "a.b--c-7d4b9c", "controller": True},
        {"kind": "Node", "name": "n1"},
    ]
)
REST_OF_SPEC: dict[str, st.SearchStrategy[Any]] = {
    "initContainers": st.sampled_from(
        [
            [{"name": "first", "image": "any"}],
            [{"name": "sidecar", "image": "any", "restartPolicy": "Always"}],
            [{"name": "mmsnap-install", "image": "any", "command": ["mine"]}],
        ]
    ),
    "volumes": st.sampled_from(
        [[], [{"name": "data", "emptyDir": {}}], [{"name": "mmsnap", "emptyDir": {}}]]
    ),
    "nodeSelector": st.sampled_from([{"disk": "ssd"}, {"storage": "pmem"}, {"storage": "no"}]),
    "securityContext": st.fixed_dictionaries(
        {}, optional={"runAsNonRoot": st.booleans(), "runAsUser": st.just(1000)}
    ),
    "hostNetwork": st.booleans(),
    "shareProcessNamespace": st.just(value=False),
}


def container(name: str) -> st.SearchStrategy[Manifest]:
    return st.fixed_dictionaries(
        {"name": st.just(name), "image": st.just("any")},
        optional={
            "command": st.lists(st.sampled_from(["--", "sh", "-c"]), max_size=3),
            "args": st.just(["x"]),
            "env": VARIABLES,
            "volumeMounts": MOUNTS,
            "resources": st.fixed_dictionaries(
                {}, optional={"requests": QUANTITIES, "limits": QUANTITIES}
            ),
            "securityContext": st.fixed_dictionaries(
                {},
                optional={"runAsUser": st.sampled_from([0, 7]), "runAsNonRoot": st.booleans()},
            ),
        },
    )


@st.composite
def pods(draw: st.DrawFn) -> Manifest:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    called = [{"name": "hz-0"}, {"name": "a--b.c"}, {"generateName": "web-7d4b9c-"}]
    metadata: Manifest = dict(draw(st.sampled_from([*called, {"generateName": "long-" * 14}])))
    owner = draw(OWNERS)
    if owner:
        metadata["ownerReferences"] = [owner]
        metadata["labels"] = {"pod-template-hash": "7d4b9c"}
    if draw(st.booleans()):
        metadata["annotations"] = draw(ANNOTATIONS)
    spec: Manifest = {"containers": [draw(container(name)) for name in names]}
    for key, values in REST_OF_SPEC.items():
        if draw(st.integers(0, 3)) == 0:
            spec[key] = draw(values)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
