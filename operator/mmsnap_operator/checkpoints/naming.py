"""What a checkpoint is called that a request asks for: the same whoever asks, and however often.

The catalog takes a name once. So an operator that died while a checkpoint was taken, and asks again
when it is back, can not get a second one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from mmsnap_operator.requests.ending import instant

_NAME_MAX: Final = 253
_CODE_LENGTH: Final = 5


def catalog_name(request: Mapping[str, Any]) -> str:
    """In the agents' catalog: when the request was made, and a part of its identity."""
    made = instant(request["metadata"]["creationTimestamp"])
    return f"{made:%Y%m%d-%H%M%S}-{_code(request['metadata']['uid'])}"


def object_name(workload: str, name: str) -> str:
    """Of the Checkpoint object."""
    full = f"{workload}-{name}"
    if len(full) <= _NAME_MAX:
        return full
    ending = f"-{_code(workload)}-{name}"
    return workload[: _NAME_MAX - len(ending)].rstrip("-.") + ending


def _code(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_CODE_LENGTH]
