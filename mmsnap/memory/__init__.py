"""The memory engine: regions of a pool, their checkpoints, and membership in a group.

Everything that must be quick or crash-safe happens in the C core below; this package gives
it Python's types and errors. It knows neither arrays nor state (the SDK does), nor services
(the node does), and needs no privileges.
"""

from mmsnap.memory._gate import Guard
from mmsnap.memory.checksum import crc32c
from mmsnap.memory.membership import MemberEvent, Membership
from mmsnap.memory.probe import Features, probe
from mmsnap.memory.records import CheckpointRecord, RegionUsage
from mmsnap.memory.region import Region, make_pool, regions

__all__ = [
    "CheckpointRecord",
    "Features",
    "Guard",
    "MemberEvent",
    "Membership",
    "Region",
    "RegionUsage",
    "crc32c",
    "make_pool",
    "probe",
    "regions",
]
