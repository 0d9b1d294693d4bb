"""What a pod's group and members are called.

The webhook writes these names into pods, the agent and the operator find pods by them; so all of
them ask here, and two workloads never have one name. A name is readable where Kubernetes' names
allow it: `NAMESPACE--WORKLOAD`, `POD`, `POD--CONTAINER`. Names of Kubernetes may be longer than a
DNS label and have dots and rows of hyphens; those end in `---` and a hash of the whole, which no
readable name has.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

NAME_MAX: Final = 63
_BETWEEN: Final = "--"
_BEFORE_HASH: Final = "---"
_HASH_LENGTH: Final = 24  # of five bits each: what nobody finds a second name for
_READABLE: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9])*", re.ASCII)
_UNREADABLE: Final = re.compile(r"[^a-z0-9]+", re.ASCII)
_NO_PART: Final = "/"  # stands in no name of Kubernetes


def group_of(namespace: str, workload: str) -> str:
    """The group of a workload: of a StatefulSet, a Deployment, …, or of a pod that nobody owns."""
    return _joined(namespace, workload)


def member_of(pod: str, container: str, first: bool) -> str:
    """The member that a container is.

    Args:
        first: it is the first one of its pod that mmsnap captures, and bears the pod's name.
    """
    return _joined(pod) if first else _joined(pod, container)


def is_readable(*parts: str) -> bool:
    """Whether these parts, with `--` between them, are a name as they are."""
    plain = all(_READABLE.fullmatch(part) for part in parts)
    return plain and len(_BETWEEN.join(parts)) <= NAME_MAX


def _joined(*parts: str) -> str:
    if is_readable(*parts):
        return _BETWEEN.join(parts)
    digest = hashlib.sha256(_NO_PART.join(parts).encode()).digest()
    code = base64.b32encode(digest).decode().lower()[:_HASH_LENGTH]
    start = _UNREADABLE.sub("-", "-".join(parts).lower()).strip("-")
    start = start[: NAME_MAX - len(_BEFORE_HASH) - _HASH_LENGTH].rstrip("-") or "x"
    return f"{start}{_BEFORE_HASH}{code}"
