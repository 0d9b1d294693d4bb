"""Checks what people ask of checkpoints, before anything is done."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from mmsnap.quantities import parse_duration
from mmsnap.retention import KEEP_LAST_BY_DEFAULT, Retention
from mmsnap_sdk.backend import DEFAULT_TIMEOUT_NS, CheckpointRequest
from mmsnap_sdk.checkpoint import DURABILITIES, Durability

LABELS_MAX_BYTES: Final = 1536
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


def checkpoint_request(
    name: str | None,
    labels: Mapping[str, str] | None,
    wait: Durability,
    timeout: timedelta | str | None,
    max_pause: timedelta | str | None,
    accept_partial: bool,
) -> CheckpointRequest:
    """The request for these arguments of `App.checkpoint`; ValueError or TypeError."""
    if wait not in DURABILITIES:
        raise ValueError(f"wait is one of {', '.join(DURABILITIES)}, not {wait!r}")
    return CheckpointRequest(
        name=None if name is None else checkpoint_name(name),
        labels=_labels(labels or {}),
        wait=wait,
        timeout_ns=DEFAULT_TIMEOUT_NS if timeout is None else parse_duration(timeout),
        max_pause_ns=0 if max_pause is None else parse_duration(max_pause),
        accept_partial=accept_partial,
    )


def automatic_checkpoints(
    every: timedelta | str | None, keep_last: int | None
) -> tuple[int | None, int | None]:
    """The interval in nanoseconds, or None, and how many automatic checkpoints stay, or None.

    Raises ValueError for an interval of nothing, and for keeping none.
    """
    if keep_last is not None and keep_last < 1:
        raise ValueError(f"keep_last is at least 1, not {keep_last}")
    if every is None:
        return None, keep_last
    interval_ns = parse_duration(every)
    if interval_ns == 0:
        raise ValueError("every= is longer than nothing")
    return interval_ns, KEEP_LAST_BY_DEFAULT if keep_last is None else keep_last


def retention(keep_last: int | None, keep_within: timedelta | str | None) -> Retention:
    """The policy for these arguments of `prune`; ValueError when neither was given."""
    return Retention(keep_last, None if keep_within is None else parse_duration(keep_within))


def checkpoint_name(name: str) -> str:
    """`name`, if a checkpoint can be called so; ValueError."""
    if not _DNS_LABEL.fullmatch(name) or name == "latest":
        raise ValueError(
            f"{name!r} can not name a checkpoint: a name has 1 to 63 of a-z, 0-9 and '-', with no "
            "'-' at its ends, and is not 'latest'"
        )
    return name


def _labels(labels: Mapping[Any, Any]) -> dict[str, str]:
    for key, value in labels.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"labels are strings, not {key!r}: {value!r}")
    if len(json.dumps(dict(labels)).encode()) > LABELS_MAX_BYTES:
        raise ValueError(f"the labels take more than {LABELS_MAX_BYTES} bytes together")
    return dict(labels)
