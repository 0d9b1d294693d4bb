"""CheckpointSchedule: checkpoints again and again, and how many of them are kept."""

from __future__ import annotations

from typing import Any, Final

from mmsnap_operator.cluster.kinds import CHECKPOINT_SCHEDULE
from mmsnap_operator.definitions.checkpointrequests import request_spec
from mmsnap_operator.definitions.definition import (
    AGE,
    CONDITIONS,
    COUNT,
    FLAG,
    INSTANT,
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

_DURATION: Final[Schema] = {
    "type": "string",
    "maxLength": 32,
    "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|min|h|d)$",
}


def _spec() -> Schema:
    return struct(
        {
            "interval": told(
                _DURATION, "like 1s or 15m; under a minute the agents keep it, without an object "
                "a run",
            ),
            "schedule": told(
                TEXT, 'five fields as in cron, like "*/5 * * * *"', minLength=1, maxLength=128
            ),
            "timeZone": told(
                TEXT, "of the schedule, like Europe/Berlin; by default Etc/UTC", maxLength=64
            ),
            "suspend": told(FLAG, "take none for the time being", default=False),
            "concurrencyPolicy": told(
                choice("Forbid", "Replace"),
                "when the one before has not ended: leave this one out, or end that one",
                default="Forbid",
            ),
            "retention": struct(
                {
                    "keepLast": told(COUNT, "keep so many of the newest", maximum=100000),
                    "keepWithin": told(_DURATION, "keep what is younger, like 24h"),
                },
                about="what either rule keeps stays; without any all do, under a minute "
                    "the newest ten",
            ),
            "template": struct(
                {
                    "metadata": struct(
                        {
                            name: {"type": "object", "additionalProperties": TEXT}
                            for name in ("labels", "annotations")
                        },
                        about="of the requests that are made",
                    ),
                    "spec": request_spec(),
                },
                required=["spec"],
                rules=[
                    rule(
                        "self.spec == oldSelf.spec",
                        "what a schedule takes can not be changed: make another one",
                    )
                ],
            ),
        },
        required=["template"],
        rules=[
            rule(
                "has(self.interval) != has(self.schedule)",
                "exactly one of interval and schedule says when",
            ),
            rule(
                "!has(self.timeZone) || has(self.schedule)", "timeZone is of a schedule as in cron"
            ),
        ],
    )  # fmt: skip


def checkpoint_schedules() -> dict[str, Any]:
    """The definition. When and how long may be changed, what is taken may not."""
    status = struct(
        {
            "lastScheduleTime": told(INSTANT, "when the last one was due"),
            "lastSuccessTime": INSTANT,
            "lastCheckpointName": TEXT,
            "nextTime": told(INSTANT, "when the next one is due"),
            "checkpointCount": told(COUNT, "that are kept"),
            "consecutiveFailures": COUNT,
            "activeRequest": told(TEXT, "the CheckpointRequest that is under way"),
            "conditions": CONDITIONS,
        }
    )
    columns = [
        *condition_columns("Ready", called="Ready"),
        column("Interval", ".spec.interval"),
        column("Schedule", ".spec.schedule"),
        column("Suspend", ".spec.suspend", "boolean"),
        column("Last", ".status.lastSuccessTime", "date"),
        column("Failures", ".status.consecutiveFailures", "integer"),
        AGE,
        column("Checkpoint", ".status.lastCheckpointName", wide=True),
        message_column("Ready"),
    ]
    return definition(
        CHECKPOINT_SCHEDULE,
        "mmcs",
        "Takes checkpoints of a workload again and again.",
        columns,
        {"spec": _spec(), "status": status},
    )
