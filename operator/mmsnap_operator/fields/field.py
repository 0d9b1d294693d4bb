"""What a field of a MemoryMachine is: its place, type, default and bounds, and what it does here.

The names, types and defaults are those that existing manifests carry. A field is either honoured
(`honoured` says by what) or means nothing here (`ignored` says why); none is neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

UNSET: Final = object()  # None could be a value in a manifest
PORT: Final[Mapping[str, Any]] = {"minimum": 1, "maximum": 65535}
COUNT: Final[Mapping[str, Any]] = {"minimum": 0}
PATH: Final[Mapping[str, Any]] = {"pattern": "^(/[^\\s]*)?$", "maxLength": 4096}
LOG_LEVELS: Final = ("trace", "debug", "info", "warn", "warning", "error")


@dataclass(frozen=True, slots=True)
class Field:
    """A field, or a section of them.

    Attributes:
        kind: string, integer, boolean, object, or array (of strings).
        default: what holds when nothing is given; UNSET: nothing.
        bounds: further keywords of its schema.
        honoured: what it does here; empty when it does nothing.
        ignored: why it does nothing here.
        in_force: of an ignored field, the value that is so here anyway; to ask for it is not worth
            a word.
        children: the fields of a section.
    """

    name: str
    kind: str
    default: Any = UNSET
    bounds: Mapping[str, Any] | None = None
    honoured: str = ""
    ignored: str = ""
    in_force: Any = UNSET
    children: tuple[Field, ...] = ()

    def leaves(self, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Field]]:
        """Every field below, with its path; of a field that is no section itself alone."""
        path = (*above, self.name)
        if not self.children:
            yield path, self
        for child in self.children:
            yield from child.leaves(path)


def text(name: str, default: Any = UNSET, **rest: Any) -> Field:
    """A string."""
    return Field(name, "string", default, **rest)


def path(name: str, default: Any = UNSET, **rest: Any) -> Field:
    """An absolute path."""
    return Field(name, "string", default, bounds=PATH, **rest)


def number(name: str, default: Any = UNSET, **rest: Any) -> Field:
    """An integer, not negative unless it says otherwise."""
    return Field(name, "integer", default, **{"bounds": COUNT, **rest})


def port(name: str, default: Any = UNSET, **rest: Any) -> Field:
    """A port of TCP."""
    return Field(name, "integer", default, bounds=PORT, **rest)


def flag(name: str, default: Any = UNSET, **rest: Any) -> Field:
    """Yes or no."""
    return Field(name, "boolean", default, **rest)


def section(name: str, *children: Field, default: Any = UNSET, **rest: Any) -> Field:
    """A field with fields of its own."""
    return Field(name, "object", default, children=children, **rest)
