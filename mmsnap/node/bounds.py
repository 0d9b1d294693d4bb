"""What requests may hold: every bound of the service's surface, and its checks.

They raise ValueError, which a client sees as INVALID_ARGUMENT.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from mmsnap.errors import UnsupportedError
from mmsnap.quantities import format_duration

DURATION_MAX_NS: Final = 3600 * 10**9
# Shorter, and the service would do little else; what it costs is in docs/decisions/schedules.md.
EVERY_MIN_NS: Final = 50 * 10**6
EVERY_MAX_NS: Final = 24 * 3600 * 10**9
KEEP_WITHIN_MAX_NS: Final = 100 * 365 * EVERY_MAX_NS  # a catalog's numbers end at three times it
SIZE_MAX_BYTES: Final = 1 << 46
LABELS_MAX_BYTES: Final = 1024
REPLICAS_MAX: Final = 16
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NODE_MAX: Final = 64  # a certificate says it as its common name, which can not be longer
_EPOCH: Final = re.compile(r"@[0-9]{1,18}", re.ASCII)
_RESERVED: Final = "latest"


def check_label(what: str, name: str) -> str:
    """A DNS label: what groups, members and checkpoints are called."""
    if not _LABEL.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r} is no name of a {what}: 1 to 63 of a-z, 0-9 and -, "
            "beginning and ending with a letter or digit"
        )
    return name


def check_node(name: str) -> str:
    """What a node is called: a DNS name, for clusters name their machines in full."""
    if len(name) > _NODE_MAX or not all(map(_LABEL.fullmatch, name.split("."))):
        raise ValueError(
            f"{name[:80]!r} is no name of a node: DNS labels with dots between them, of a-z, 0-9 "
            f"and -, at most {_NODE_MAX} characters"
        )
    return name


def check_renaming(members: Mapping[str, str]) -> dict[str, str]:
    """Members by the names they are to have instead."""
    for name in (*members, *members.values()):
        check_label("member", name)
    return dict(members)


def check_durability(name: str) -> str:
    """What a checkpoint is to have reached; empty: nothing more than the commit."""
    if name not in ("", "captured", "durable", "replicated"):
        raise ValueError(f"a durability is captured, durable or replicated, not {name[:80]!r}")
    if name == "durable":
        raise UnsupportedError(
            "checkpoints of a group can not be made durable yet",
            hint="ask for captured or replicated",
        )
    return name or "captured"


def check_replicas(count: int) -> int:
    """Copies of a checkpoint on other nodes."""
    if count > REPLICAS_MAX:
        raise ValueError(f"a checkpoint has at most {REPLICAS_MAX} replicas, not {count}")
    return count


def check_new_name(name: str) -> str:
    """The name of a checkpoint to be made; empty: an automatic one."""
    if name == _RESERVED:
        raise ValueError(f"no checkpoint can be called {_RESERVED}: it means the head")
    return check_label("checkpoint", name) if name else ""


def check_reference(name: str) -> str:
    """A name, "latest" (also when empty) or "@EPOCH"."""
    if not name:
        return _RESERVED
    return name if _EPOCH.fullmatch(name) else check_label("checkpoint", name)


def check_optional_group(name: str) -> str | None:
    """A group, or None for all of them."""
    return check_label("group", name) if name else None


def check_duration_ns(what: str, duration_ns: int) -> int:
    if not 0 <= duration_ns <= DURATION_MAX_NS:
        raise ValueError(f"{what} is at most an hour, not {duration_ns} ns")
    return duration_ns


def check_every_ns(every_ns: int) -> int:
    """The interval of a schedule."""
    if not EVERY_MIN_NS <= every_ns <= EVERY_MAX_NS:
        raise ValueError(
            f"a schedule runs every 50 ms to every day, not every {format_duration(every_ns)}"
        )
    return every_ns


def check_keep_within_ns(keep_within_ns: int) -> int:
    """How old what is kept may be."""
    if not 0 <= keep_within_ns <= KEEP_WITHIN_MAX_NS:
        raise ValueError(f"keep_within is at most a hundred years, not {keep_within_ns} ns")
    return keep_within_ns


def check_size_bytes(size_bytes: int) -> int:
    if not 0 <= size_bytes <= SIZE_MAX_BYTES:
        raise ValueError(f"a region has at most {SIZE_MAX_BYTES} bytes, not {size_bytes}")
    return size_bytes


def check_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of a checkpoint, together at most LABELS_MAX_BYTES as JSON."""
    kept = dict(labels)
    if len(json.dumps(kept).encode()) > LABELS_MAX_BYTES:
        raise ValueError(f"the labels exceed {LABELS_MAX_BYTES} bytes")
    return kept
