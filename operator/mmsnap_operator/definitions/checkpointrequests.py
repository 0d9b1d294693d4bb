"""CheckpointRequest: one checkpoint of one workload; ends Complete or Failed, like a Job."""

from __future__ import annotations

from typing import Final

from mmsnap_operator.cluster.kinds import CHECKPOINT_REQUEST
from mmsnap_operator.definitions.definition import (
    AGE,
    CONDITIONS,
    COUNT,
    INSTANT,
    NAME,
    TEXT,
    Schema,
    choice,
    column,
    condition_columns,
    definition,
    message_column,
    rule,
    struct,
    told,
)

WORKLOADS: Final = ("StatefulSet", "Deployment", "ReplicaSet", "DaemonSet", "Job", "Pod")
CONSISTENCIES: Final = ("Crash", "Application")
DURABILITIES: Final = ("Captured", "Durable", "Replicated")
IMMUTABLE: Final = "a request can not be changed: make another one"

_SELECTOR: Final[Schema] = {
    "type": "object",
    "description": "labels of the pods; all of them have to be of one workload",
    "properties": {
        "matchLabels": {"type": "object", "additionalProperties": TEXT},
        "matchExpressions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["key", "operator"],
                "properties": {
                    "key": TEXT,
                    "operator": choice("In", "NotIn", "Exists", "DoesNotExist"),
                    "values": {"type": "array", "items": TEXT},
                },
            },
        },
    },
}
_SOURCE: Final[Schema] = struct(
    {
        "kind": told(choice(*WORKLOADS), "of the workload"),
        "name": told(NAME, "of the workload, in this namespace"),
        "selector": _SELECTOR,
    },
    rules=[
        rule(
            "has(self.selector) != (has(self.kind) || has(self.name))",
            "exactly one of a workload (kind and name) and a selector is the source",
        ),
        rule("has(self.kind) == has(self.name)", "a workload is given by its kind and its name"),
    ],
    about="the pods that are checkpointed together",
)


def request_spec() -> Schema:
    """What is asked for; a schedule has the same in its template."""
    return struct(
        {
            "source": _SOURCE,
            "engine": told(
                choice("memory", "process", "kubelet"),
                "what captures the members; pods that run another one are refused. "
                "By default whatever they run.",
            ),
            "profile": told(
                NAME, "the profile that every program has to run; others are refused", maxLength=63
            ),
            "consistency": told(
                choice(*CONSISTENCIES),
                "the least that will do; a checkpoint that is less is Failed",
                default="Crash",
            ),
            "durability": told(
                choice(*DURABILITIES),
                "the least that will do; what is not reached in time is Failed",
                default="Captured",
            ),
            "replicas": told(
                COUNT,
                "copies on other nodes; by default as many as the agents make by themselves",
                maximum=100,
            ),
            "volumes": told(
                choice("Refuse", "Ignore"),
                "what to do when a member mounts a writable volume claim: its files are not part "
                "of the checkpoint, and may be newer than the memory at a restore",
                default="Refuse",
            ),
            "disruptionBudgets": told(
                choice("Refuse", "Ignore"),
                "what to do when more members stand still at once than a PodDisruptionBudget "
                "lets be unavailable",
                default="Refuse",
            ),
            "maxPauseMilliseconds": told(
                COUNT, "abort a cut whose pause would be longer; 0: no limit", maximum=3600000
            ),
            "timeoutSeconds": told(
                COUNT, "for all of it, from the moment that the operator begins",
                default=60, minimum=1, maximum=86400,
            ),
            "deletionPolicy": told(
                choice("Retain", "Delete"),
                "what becomes of the bytes when the Checkpoint is deleted",
                default="Retain",
            ),
            "ttlSecondsAfterFinished": told(
                COUNT, "delete the request so long after its end; its Checkpoint stays"
            ),
        },
        required=["source"],
    )  # fmt: skip


def measured() -> dict[str, Schema]:
    """What a checkpoint turned out to be; a request and its Checkpoint show the same."""
    return {
        "consistency": told(TEXT, "Crash or Application"),
        "durability": told(TEXT, "Captured, Durable or Replicated"),
        "pauseMilliseconds": told(COUNT, "the longest that a member stood still"),
        "sizeBytes": told({**COUNT, "format": "int64"}, "what was written for it"),
        "size": told(TEXT, "the same, for people"),
        "memberCount": COUNT,
    }


def measured_columns() -> tuple[Schema, ...]:
    """The columns of it."""
    return (
        column("Members", ".status.memberCount", "integer"),
        column("Consistency", ".status.consistency"),
        column("Pause", ".status.pauseMilliseconds", "integer"),
        column("Size", ".status.size"),
    )


def checkpoint_requests() -> Schema:
    """The definition."""
    spec = request_spec()
    spec["x-kubernetes-validations"] = [rule("self == oldSelf", IMMUTABLE)]
    status = struct(
        {
            "checkpointName": told(TEXT, "the Checkpoint that was made"),
            "group": told(TEXT, "the group in the agents' catalog; known once it began"),
            "workload": told(TEXT, "what was checkpointed, like StatefulSet/hz"),
            "members": told(
                {"type": "array", "items": TEXT}, "those that have to be in it; known at the cut"
            ),
            "startTime": INSTANT,
            "completionTime": told(INSTANT, "when it was Complete or Failed"),
            **measured(),
            "conditions": CONDITIONS,
        }
    )
    columns = [
        *condition_columns("Complete", called="Ready"),
        *measured_columns(),
        AGE,
        column("Checkpoint", ".status.checkpointName", wide=True),
        message_column("Complete"),
    ]
    return definition(
        CHECKPOINT_REQUEST,
        "mmcr",
        "Asks for one checkpoint of a workload, of all its members at one cut.",
        columns,
        {"spec": spec, "status": status},
    )
