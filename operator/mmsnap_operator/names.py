"""Names on the cluster. Those that existing manifests and tools carry are not to be changed."""

from __future__ import annotations

from typing import Final

GROUP: Final = "mm.memverge.com"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "MemoryMachine"
PLURAL: Final = "memorymachines"

AGENTS: Final = "memory-machine"  # the DaemonSet, and what agents' objects are called by
ETCD: Final = "memory-machine-etcd"
ETCD_SERVICE: Final = "memory-machine-etcd-service"
CONFIGURATION: Final = "memory-machine-config"
AUTHORITY_SECRET: Final = "memory-machine-ca"
NODES_SECRET: Final = "memory-machine-node-tls"
ETCD_SECRET: Final = "memory-machine-etcd-tls"
CLIENT_SECRET: Final = "memory-machine-operator-tls"
OWED_DELETIONS: Final = "memory-machine-owed-deletions"
CLEARING: Final = "memory-machine-clear"
CSI_DRIVER: Final = "mmsnap.memverge.com"
OPERATOR: Final = "memory-machine-operator"
WEBHOOK: Final = "memory-machine-webhook"

NODE_LABEL: Final = {"storage": "pmem"}
IMAGE: Final = "mmsnap"

# Labels of a checkpoint in the catalog, and of its Checkpoint object: who asked for it.
REQUEST_LABEL: Final = f"{GROUP}/request"  # the UID of a CheckpointRequest
SCHEDULE_LABEL: Final = f"{GROUP}/schedule"  # NAMESPACE.NAME of a CheckpointSchedule
GROUP_LABEL: Final = f"{GROUP}/group"  # of a Checkpoint object, for selecting
CLONE_LABEL: Final = "memory-machine.memverge.com/clone"  # tells two sets' pods apart
WORK_FINALIZER: Final = f"{GROUP}/work"  # of requests, until nothing is under way any more
BYTES_FINALIZER: Final = f"{GROUP}/bytes"  # of Checkpoints, until their bytes are dealt with

FIELD_MANAGER: Final = "memory-machine-operator"
FINALIZER: Final = f"{GROUP}/removal"
TEMPLATE_HASH: Final = f"{GROUP}/template-hash"
GENERATION: Final = f"{GROUP}/generation"

NAME_LABEL: Final = "app.kubernetes.io/name"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
