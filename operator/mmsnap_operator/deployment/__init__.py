"""What a MemoryMachine makes on the cluster, as manifests: pure functions, no cluster in sight."""

from mmsnap_operator.deployment.context import Context
from mmsnap_operator.deployment.everything import agents_objects, base_objects, etcd_objects

__all__ = ["Context", "agents_objects", "base_objects", "etcd_objects"]
