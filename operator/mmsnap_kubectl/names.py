"""What things are called on the cluster, as this command needs it."""

from __future__ import annotations

from typing import Final

from mmsnap_operator.names import API_VERSION, GROUP

SYSTEM_NAMESPACE: Final = "memverge"  # where the MemoryMachine is, unless told otherwise
CSI_DRIVER: Final = "mmsnap.memverge.com"
CLUSTERSNAP_LABEL: Final = "memory-machine.memverge.com/clustersnap"
PROFILE_OPTIONS_VARIABLE: Final = "MMSNAP_PROFILE_OPTIONS"

MEMORY_MACHINES: Final = f"memorymachines.{GROUP}"
REQUESTS: Final = f"checkpointrequests.{GROUP}"
CHECKPOINTS: Final = f"checkpoints.{GROUP}"
RESTORES: Final = f"restorerequests.{GROUP}"
SCHEDULES: Final = f"checkpointschedules.{GROUP}"

KINDS: Final = {
    CHECKPOINTS: "Checkpoint",
    REQUESTS: "CheckpointRequest",
    RESTORES: "RestoreRequest",
    SCHEDULES: "CheckpointSchedule",
}
# As people write them in KIND/NAME.
RESOURCES: Final = {
    **{kind.lower(): resource for resource, kind in KINDS.items()},
    **{f"{kind.lower()}s": resource for resource, kind in KINDS.items()},
    **{resource: resource for resource in KINDS},
    "mmc": CHECKPOINTS,
    "mmcr": REQUESTS,
    "mmrr": RESTORES,
    "mmcs": SCHEDULES,
}
WORKLOADS: Final = {
    "statefulset": "StatefulSet",
    "statefulsets": "StatefulSet",
    "sts": "StatefulSet",
    "deployment": "Deployment",
    "deployments": "Deployment",
    "deploy": "Deployment",
    "replicaset": "ReplicaSet",
    "replicasets": "ReplicaSet",
    "rs": "ReplicaSet",
    "daemonset": "DaemonSet",
    "daemonsets": "DaemonSet",
    "ds": "DaemonSet",
    "job": "Job",
    "jobs": "Job",
    "pod": "Pod",
    "pods": "Pod",
    "po": "Pod",
}

__all__ = [
    "API_VERSION",
    "CHECKPOINTS",
    "CLUSTERSNAP_LABEL",
    "CSI_DRIVER",
    "KINDS",
    "MEMORY_MACHINES",
    "PROFILE_OPTIONS_VARIABLE",
    "REQUESTS",
    "RESOURCES",
    "RESTORES",
    "SCHEDULES",
    "SYSTEM_NAMESPACE",
    "WORKLOADS",
]
