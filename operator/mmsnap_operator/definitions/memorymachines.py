"""MemoryMachine: that there is mmsnap on the cluster, and how; its schema is made from a table."""

from __future__ import annotations

from typing import Any

from mmsnap_operator import schema
from mmsnap_operator.cluster.kinds import MEMORY_MACHINE
from mmsnap_operator.definitions.definition import (
    AGE,
    column,
    condition_columns,
    definition,
    message_column,
)


def memory_machines() -> dict[str, Any]:
    """The definition of MemoryMachine. One without a specification is one of defaults."""
    columns = [
        *condition_columns("Ready", called="Ready"),
        column("Nodes", ".status.nodesReady", "integer"),
        column("Wanted", ".status.nodesWanted", "integer"),
        column("Version", ".status.mmVersion"),
        AGE,
        message_column("Ready"),
    ]
    return definition(
        MEMORY_MACHINE,
        "mm",
        "Checkpoint and restore of stateful applications, on every labelled node.",
        columns,
        {"spec": schema.specification(), "status": schema.status()},
        required=(),
    )
