"""What the status mirrors: the sections whose values in force existing tools read there."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mmsnap_operator.fields.field import UNSET, Field, section
from mmsnap_operator.fields.table import SPEC

_MIRRORED: Final = ("daemonConfig", "mmVersion", "mvmallocConfig", "mvsvcdConfig", "pmemNsPerNode")
_DEFAULTS_LEFT_OUT: Final = ("mmVersion", "pmemNsPerNode")


def _mirror(field: Field) -> Field:
    """The field as the status has it: never refused, because it says what is.

    Sections have no default there, and neither have single values: before anything runs, no
    version is in force.
    """
    bare = field.kind == "object" or field.name in _DEFAULTS_LEFT_OUT
    return replace(
        field,
        default=UNSET if bare else field.default,
        bounds=None,
        children=tuple(map(_mirror, field.children)),
    )


STATUS: Final = section(
    "status", *(_mirror(field) for field in SPEC.children if field.name in _MIRRORED)
)
