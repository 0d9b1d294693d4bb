"""Fields that were set and change nothing: known ones that mean nothing here, and unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from mmsnap_operator.fields import SPEC, Field


def ignored(spec: Mapping[str, Any]) -> list[str]:
    """A sentence for each field that asks for something and gets nothing."""
    return list(_ignored(SPEC, spec, ""))


def unknown(spec: Mapping[str, Any]) -> list[str]:
    """The fields that no MemoryMachine has, with the name that was meant where that is clear."""
    return list(_unknown(SPEC, spec, ""))


def _ignored(section: Field, given: Mapping[str, Any], above: str) -> Iterator[str]:
    for field in section.children:
        value = given.get(field.name)
        name = f"{above}{field.name}"
        if isinstance(value, Mapping) and field.children:
            yield from _ignored(field, value, f"{name}.")
        elif field.ignored and value is not None and value not in (field.default, field.in_force):
            yield f"{name}: {field.ignored}"


def _unknown(section: Field, given: Mapping[str, Any], above: str) -> Iterator[str]:
    fields = {field.name: field for field in section.children}
    for key, value in given.items():
        field = fields.get(key)
        if field is None:
            near = difflib.get_close_matches(key, fields, n=1)
            yield f"{above}{key}" + (f" (is {above}{near[0]} meant?)" if near else "")
        elif field.children and isinstance(value, Mapping):
            yield from _unknown(field, value, f"{above}{key}.")
