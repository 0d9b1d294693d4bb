"""The difference between two manifests as a JSON patch (RFC 6902), short and readable.

For what injection does: keys are added, values replaced, items put in between others. Nothing is
ever taken away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Operation = dict[str, Any]


def patch_of(before: Any, after: Any, path: str = "") -> list[Operation]:
    """The operations that make `after` of `before`; none when they are equal."""
    if before == after:
        return []
    if isinstance(before, Mapping) and isinstance(after, Mapping) and before.keys() <= after.keys():
        return _of_mappings(before, after, path)
    if _are_manifests(before) and _are_manifests(after):
        found = _of_lists(before, after, path)
        if found is not None:
            return found
    return [{"op": "replace", "path": path, "value": after}]


def _of_mappings(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> list[Operation]:
    operations: list[Operation] = []
    for key, value in after.items():
        place = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if key in before:
            operations += patch_of(before[key], value, place)
        else:
            operations.append({"op": "add", "path": place, "value": value})
    return operations


def _of_lists(before: Sequence[Any], after: Sequence[Any], path: str) -> list[Operation] | None:
    """Items are the same by their name; None when one of `before` is gone or has moved."""
    operations: list[Operation] = []
    left = list(before)
    for place, item in enumerate(after):
        if left and left[0].get("name") == item.get("name"):
            operations += patch_of(left.pop(0), item, f"{path}/{place}")
        else:
            operations.append({"op": "add", "path": f"{path}/{place}", "value": item})
    return None if left else operations


def _are_manifests(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)
