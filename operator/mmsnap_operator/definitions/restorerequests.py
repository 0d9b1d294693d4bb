"""RestoreRequest: a workload brought back, or a second one made; ends Complete or Failed."""

from __future__ import annotations

from typing import Final

from mmsnap_operator.cluster.kinds import RESTORE_REQUEST
from mmsnap_operator.definitions.checkpointrequests import IMMUTABLE, WORKLOADS
from mmsnap_operator.definitions.definition import (
    AGE,
    CONDITIONS,
    COUNT,
    FLAG,
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

_SOURCE: Final[Schema] = struct(
    {
        "namespace": told(NAME, "where the Checkpoint is; by default here", maxLength=63),
        "checkpointName": told(NAME, "the Checkpoint"),
        "scheduleName": told(NAME, "the newest Ready one of this CheckpointSchedule"),
    },
    rules=[
        rule(
            "has(self.checkpointName) != has(self.scheduleName)",
            "exactly one of checkpointName and scheduleName is the source",
        )
    ],
)
_TARGET: Final[Schema] = struct(
    {"kind": choice(*WORKLOADS), "name": NAME},
    required=["kind", "name"],
    about="the workload, in this namespace; by default the one that was checkpointed",
)


def restore_requests() -> Schema:
    """The definition."""
    spec = struct(
        {
            "source": _SOURCE,
            "strategy": told(
                choice("InPlace", "Recreate", "Clone"),
                "InPlace: the pods stay. Recreate: new pods. Clone: a second workload beside the "
                "first.",
            ),
            "target": _TARGET,
            "preflightOnly": told(FLAG, "find out whether it could be, and end", default=False),
            "disruptionBudgets": told(
                choice("Refuse", "Ignore"),
                "what to do when more members stand still at once than a PodDisruptionBudget "
                "lets be unavailable",
                default="Refuse",
            ),
            "timeoutSeconds": told(
                COUNT, "for all of it; pods that did not come by then are named",
                default=600, minimum=1, maximum=86400,
            ),
            "ttlSecondsAfterFinished": told(COUNT, "delete the request so long after its end"),
        },
        required=["source", "strategy"],
        rules=[
            rule("self == oldSelf", IMMUTABLE),
            rule(
                "self.strategy != 'Clone' || has(self.target)",
                "a clone needs a target: what the second workload is called",
            ),
        ],
    )  # fmt: skip
    status = struct(
        {
            "checkpointName": told(TEXT, "the Checkpoint that is restored"),
            "epoch": told({**COUNT, "format": "int64"}, "its number"),
            "sourceGroup": told(TEXT, "the group that it is of"),
            "group": told(TEXT, "the group that is restored; known once it began"),
            "beforeEpoch": told(
                {**COUNT, "format": "int64"}, "the operation that moved the group's head before"
            ),
            "replicas": told(COUNT, "pods that the workload had, and gets again"),
            "startTime": INSTANT,
            "completionTime": told(INSTANT, "when it was Complete or Failed"),
            "memberCount": COUNT,
            "awaited": told(
                {"type": "array", "items": TEXT}, "members that have not come yet, or never did"
            ),
            "step": told(TEXT, "what is under way"),
            "conditions": CONDITIONS,
        }
    )
    columns = [
        *condition_columns("Complete", called="Ready"),
        column("Strategy", ".spec.strategy"),
        column("Checkpoint", ".status.checkpointName"),
        column("Members", ".status.memberCount", "integer"),
        AGE,
        column("Step", ".status.step", wide=True),
        message_column("Complete"),
    ]
    return definition(
        RESTORE_REQUEST,
        "mmrr",
        "Asks for a workload to be as a checkpoint of it was.",
        columns,
        {"spec": spec, "status": status},
    )
