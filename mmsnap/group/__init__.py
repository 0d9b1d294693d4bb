"""The group protocol as a pure state machine: messages in, messages out.

No I/O, no clock, no threads. One machine for a checkpoint of a group, one for a
restore; both built of the steps in `operation`. Who drives them, over what
socket and by which clock, is mmsnap.node's matter; so is which groups exist.
"""

from mmsnap.group.budgets import DEFAULT_BUDGETS, Budgets
from mmsnap.group.checkpoint import CheckpointOperation
from mmsnap.group.effects import Cause, Decide, Effect, Expel, Failure, Figures, Finished, Send
from mmsnap.group.messages import EMPTY_EPOCH
from mmsnap.group.operation import Operation
from mmsnap.group.restore import CheckOperation, RestoreOperation

__all__ = [
    "DEFAULT_BUDGETS",
    "EMPTY_EPOCH",
    "Budgets",
    "Cause",
    "CheckOperation",
    "CheckpointOperation",
    "Decide",
    "Effect",
    "Expel",
    "Failure",
    "Figures",
    "Finished",
    "Operation",
    "RestoreOperation",
    "Send",
]
