"""Showing that work is under way: a line on stderr while it lasts, and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Told = Callable[[str], None]


@contextmanager
def working(what: str) -> Iterator[Told]:
    """Shows `what` with a spinner; the value replaces the text as the work gets on."""
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as status:
        yield status.update
