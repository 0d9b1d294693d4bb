"""How long does a group over three nodes stand still, against its members without barriers?

    PYTHONPATH=. python benchmarks/nodes.py --json build/nodes.json --plot build/nodes.png

Three nodes on hosts of their own (network namespaces), real services, an etcd of three, mutual TLS;
six members, 1 % of whose pages are dirty in the cut. Needs root. The method is written down in
docs/decisions/measuring.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from measurement.crew import prepare_environment
from measurement.goals import Goal
from measurement.node_cuts import (
    BESIDE_WRITERS,
    GLOBAL,
    MEMBERS,
    SLOWEST,
    TOGETHER,
    TRIP,
    Cuts,
    measure_cuts,
)
from measurement.samples import shown
from measurement.scratch import scratch_folder
from measurement.tables import cut_table, goal_table
from rich.console import Console

from mmsnap.quantities import format_size, parse_size

# Base, private pages, logs and undo, of two regions each.
_COPIES: Final = 6
_COLUMNS: Final = 120


def main() -> None:
    options = _options()
    prepare_environment()
    with (
        scratch_folder(_COPIES * MEMBERS * options.size) as folder,
        Console(stderr=True).status("starting") as status,
    ):
        cuts = measure_cuts(folder, options.size, options.rounds, status.update)
    goals, title = _goals(cuts), _title(options)
    out = Console()
    if out.width < _COLUMNS:
        out = Console(width=_COLUMNS)
    for table in (cut_table(cuts), goal_table(goals)):
        out.print(table, "")
    out.print(title)
    if options.json:
        _write_json(options.json, cuts, goals, title)
    if options.plot:
        _draw(options.plot, cuts, title)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them there, as PNG")
    parser.add_argument("--size", type=parse_size, default="256MiB", help="of a member (256MiB)")
    parser.add_argument("--rounds", type=int, default=40, metavar="N", help="of each figure (40)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("this benchmark makes network namespaces: run it as root")
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    return options


def _goals(cuts: Cuts) -> list[Goal]:
    """The first is the goal.

    The second has what the group has, too: writers that want the processors. The last is what it
    would be if each had a processor for itself.
    """
    return [
        _goal("global pause: six at once and two round trips", TOGETHER, cuts),
        _goal("the same, six at once beside their writers", BESIDE_WRITERS, cuts),
        _goal("the same, against the slowest's own pause", SLOWEST, cuts),
    ]


def _goal(text: str, local: str, cuts: Cuts) -> Goal:
    limit_ns = cuts[local].median_ns + 2 * cuts[TRIP].median_ns
    rounds = list(
        zip(cuts[GLOBAL].values_ns, cuts[local].values_ns, cuts[TRIP].values_ns, strict=True)
    )
    within = sum(pause_ns <= local_ns + 2 * trip_ns for pause_ns, local_ns, trip_ns in rounds)
    pause_ns = cuts[GLOBAL].median_ns
    measured = f"{shown(pause_ns)} ({within} of {len(rounds)} rounds within)"
    return Goal(text, f"at most {shown(limit_ns)}", measured, pause_ns <= limit_ns)


def _title(options: argparse.Namespace) -> str:
    return (
        f"{MEMBERS} members of {format_size(options.size)} on three nodes, "
        f"{options.rounds} rounds, {os.cpu_count()} processors, Linux {platform.release()}"
    )


def _write_json(file: Path, cuts: Cuts, goals: list[Goal], title: str) -> None:
    document: dict[str, Any] = {
        "title": title,
        "goals": [goal.record() for goal in goals],
        "figures": {name: samples.record() for name, samples in cuts.items()},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1))


def _draw(file: Path, cuts: Cuts, title: str) -> None:
    """Every round is a dot, a line through their median."""
    figure, axes = plt.subplots(figsize=(9, 4))
    for place, samples in enumerate(cuts.values()):
        values = [value / 1e6 for value in samples.values_ns]
        axes.plot(values, [place] * len(values), "o", alpha=0.3)
        axes.plot([samples.median_ns / 1e6], [place], "k|", markersize=18)
    axes.set_yticks(range(len(cuts)), list(cuts))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("ms")
    axes.set_title(title, fontsize=9)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
