"""How answers are shown: tables for people, JSON for programs.

Answers go to stdout, everything else to stderr. A table that goes into a pipe is never cut to a
width.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Generic, TypeVar

import typer

Item = TypeVar("Item")

_PIPE_COLUMNS: Final = 1000


class Format(StrEnum):
    """The two ways to show an answer."""

    TABLE = "table"
    JSON = "json"


Output = Annotated[Format, typer.Option("-o", "--output", help="How to show the answer.")]


@dataclass(frozen=True)
class Column(Generic[Item]):
    """One column of a table: its header and the text of an item's cell."""

    header: str
    text: Callable[[Item], str]
    numeric: bool = False


def print_table(
    columns: Sequence[Column[Item]], items: Iterable[Item], *, headers: bool = True
) -> None:
    """Prints a row for each item, under a line of headers."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=headers, header_style="bold")
    for column in columns:
        table.add_column(column.header, justify="right" if column.numeric else "left")
    for item in items:
        table.add_row(*(_plain(column.text(item)) for column in columns))
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Prints what is known of one thing, a fact a line."""
    what = Column[tuple[str, str]]("", lambda fact: fact[0])
    known = Column[tuple[str, str]]("", lambda fact: fact[1])
    print_table([what, known], facts, headers=False)


def print_json(answer: Any) -> None:
    """Prints an answer as one JSON document."""
    typer.echo(json.dumps(answer, indent=2, default=str))


def print_json_line(event: Any) -> None:
    """Prints one of many answers as a line of JSON, at once."""
    typer.echo(json.dumps(event, default=str))
    sys.stdout.flush()


def _plain(text: str) -> Any:
    """Text that rich takes as it is: a name may hold brackets."""
    from rich.text import Text

    return Text(text)
