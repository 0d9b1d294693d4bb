"""What is to be said of a MemoryMachine, from what was seen on the cluster: pure functions.

Every condition has a reason for machines and a message for people, which says what to do.
"""

from mmsnap_operator.health.condition import Condition, merged
from mmsnap_operator.health.observed import Observed
from mmsnap_operator.health.verdict import conditions, conflict, elsewhere

__all__ = ["Condition", "Observed", "conditions", "conflict", "elsewhere", "merged"]
