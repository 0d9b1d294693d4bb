"""The figures as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.table import Table

from measurement.goals import Comparison, Goal
from measurement.pauses import Pauses
from measurement.restores import Restores
from measurement.samples import Samples, shown
from measurement.stalls import Stalls
from measurement.updates import Updates

_FIGURES = ("median", "p99", "worst")


def pause_table(pauses: Pauses) -> Table:
    """The longest gap of the writing loop, and beside it the longest single write."""
    table = _table("How long the application stands still", "dirty", "", *_FIGURES, "worst write")
    for fraction, contenders in pauses.items():
        for name, figures in contenders.items():
            cells = figures["stall_ns"].cells()
            # mmsnap cuts beside the loop: all its gaps are those of single writes.
            write = "" if name == "mmsnap" else shown(figures["write_ns"].worst_ns)
            table.add_row(f"{fraction:.1%}", name, *cells, write)
            if name == "mmsnap":
                table.add_row("", "  as it reports", *figures["pause_ns"].cells(), "")
                table.add_row("", "  until committed", *figures["commit_ns"].cells(), "")
        table.add_section()
    return table


def restore_table(restores: Restores) -> Table:
    table = _table("How long until the array is back", "", "to the", *_FIGURES)
    for way, figures in restores.items():
        table.add_row(way, "first byte", *figures["first_ns"].cells())
        table.add_row("", "last byte", *figures["last_ns"].cells())
    return table


def update_table(updates: Updates) -> Table:
    table = _table("One pass through a with statement", "", "", *_FIGURES)
    for condition, contenders in updates.items():
        for name, samples in contenders.items():
            table.add_row(condition, name, *samples.cells())
    return table


def stall_table(stalls: Stalls) -> Table:
    table = _table("The slowest of three members, 10 % dirty", "cut", *_FIGURES)
    for name, samples in stalls.items():
        table.add_row(name, *samples.cells())
    return table


def cut_table(cuts: Mapping[str, Samples]) -> Table:
    table = _table("Six members on three nodes, 1 % dirty", "", *_FIGURES)
    for name, samples in cuts.items():
        table.add_row(name, *samples.cells())
    return table


def comparison_table(comparisons: Iterable[Comparison]) -> Table:
    table = _table("Against each peer, by medians", "", "peer", "mmsnap", "peer", "ratio", "")
    for each in comparisons:
        verdict = "" if each.won else "[red]lost[/]"
        figures = shown(each.mmsnap_ns), shown(each.peer_ns), f"{each.ratio:.3g} x"
        table.add_row(each.question, each.peer, *figures, verdict)
    return table


def goal_table(goals: Iterable[Goal]) -> Table:
    table = _table("Goals, by medians", "", "limit", "measured", "")
    for goal in goals:
        verdict = "[green]met[/]" if goal.met else "[red]missed[/]"
        table.add_row(goal.text, goal.limit, goal.measured, verdict)
    return table


def _table(title: str, *headers: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for header in headers:
        table.add_column(header, justify="right" if header in (*_FIGURES, "ratio") else "left")
    return table
