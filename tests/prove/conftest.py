"""How long the long searches search, and the tables they end with."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

Report = Callable[[str, list[str]], None]
TABLES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=600, help="kills of each hunt for a region")
    parser.addoption("--seconds", type=float, default=200, help="most time of each search")


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


@pytest.fixture
def until(request: pytest.FixtureRequest) -> float:
    """The time of time.monotonic() at which a search is to end."""
    return time.monotonic() + float(request.config.getoption("--seconds"))


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Adds a table to those that are shown at the end."""
    tables = request.config.stash.setdefault(TABLES, [])

    def add(title: str, lines: list[str]) -> None:
        tables.extend([f"---- {title}", *lines, ""])

    return add


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash.get(TABLES, []):
        terminalreporter.write_line(line)
