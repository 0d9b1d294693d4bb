"""The reference of a MemoryMachine's fields for users, written from the table; committed."""

from __future__ import annotations

import json
from typing import Final

from mmsnap_operator.fields import SPEC, UNSET, Field

_HEAD: Final = """\
# The fields of a MemoryMachine

Written by: `python -m mmsnap_operator fields`. Every field that existing manifests carry is
accepted and checked. Those that do nothing here are named in the condition `FieldsIgnored` when
they are set to something else than their default; so is a field that is not in this table.

| field | type | default | what it does |
| --- | --- | --- | --- |
"""


def reference() -> str:
    """The text of docs/MEMORYMACHINE.md."""
    rows = []
    for path, field in SPEC.leaves():
        name = ".".join(path[1:])
        rows.append(f"| `{name}` | {_kind(field)} | {_default(field)} | {_words(field)} |")
    return _HEAD + "\n".join(rows) + "\n"


def _kind(field: Field) -> str:
    return "list of strings" if field.kind == "array" else field.kind


def _default(field: Field) -> str:
    return "" if field.default is UNSET else f"`{json.dumps(field.default)}`"


def _words(field: Field) -> str:
    return field.honoured or f"*nothing: {field.ignored}*"
