"""What does mmsnap cost the application, and how soon is its memory back?

    python benchmarks/memory.py --json build/memory.json --plot build/memory.png

Measures checkpoints of an array in memory beside fork(), np.save and pickle, restores beside
np.load, update() beside an empty context manager, and a group of three processes against one. The
method is written down in docs/decisions/measuring.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measurement.crew import prepare_environment
from measurement.goals import comparisons, goals
from measurement.pauses import Pauses, measure_pauses
from measurement.picture import draw
from measurement.restores import Restores, measure_restores
from measurement.scratch import scratch_folder
from measurement.stalls import Stalls, measure_stalls
from measurement.tables import (
    comparison_table,
    goal_table,
    pause_table,
    restore_table,
    stall_table,
    update_table,
)
from measurement.updates import Updates, measure_updates
from rich.console import Console

from mmsnap.quantities import format_size, parse_size

# Base, private pages, log and undo of the region, two plain arrays, two files.
_COPIES = 8
_MEMBERS_PER_SIZE = 4
_UPDATES_BYTES = 64 << 20
_COLUMNS = 120


@dataclass(frozen=True)
class Figures:
    """Everything that was measured."""

    pauses: Pauses
    restores: Restores
    updates: Updates
    stalls: Stalls

    def record(self) -> dict[str, Any]:
        return {
            "pauses": {
                str(fraction): {
                    name: {figure: samples.record() for figure, samples in figures.items()}
                    for name, figures in contenders.items()
                }
                for fraction, contenders in self.pauses.items()
            },
            "restores": _records(self.restores),
            "updates": _records(self.updates),
            "stalls": {name: samples.record() for name, samples in self.stalls.items()},
        }


def main() -> None:
    options = _options()
    console = Console(stderr=True)
    prepare_environment()
    with console.status("starting") as status:
        figures = _measure(options, status.update)
    _show(figures, options)
    if options.json:
        _write_json(options.json, figures, options)
    if options.plot:
        draw(figures.pauses, figures.restores, _title(options), options.plot)


def _show(figures: Figures, options: argparse.Namespace) -> None:
    out = Console()
    if out.width < _COLUMNS:
        out = Console(width=_COLUMNS)
    for table in (
        pause_table(figures.pauses),
        restore_table(figures.restores),
        update_table(figures.updates),
        stall_table(figures.stalls),
        comparison_table(comparisons(figures.pauses, figures.restores)),
        goal_table(_goals(figures)),
    ):
        out.print(table, "")
    out.print(_title(options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them there, as PNG")
    parser.add_argument("--size", type=parse_size, default="1GiB", help="of the array (1GiB)")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="of each figure (20)")
    parser.add_argument("--quick", action="store_true", help="128MiB and 3 rounds: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.size, options.rounds = parse_size("128MiB"), 3
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    return options


def _measure(options: argparse.Namespace, progress: Callable[[str], None]) -> Figures:
    size_bytes, rounds = options.size, options.rounds
    # A folder each: what one question leaves behind would take memory from the next.
    with scratch_folder(_UPDATES_BYTES) as folder:
        updates = measure_updates(folder, rounds, progress)
    with scratch_folder(_COPIES * size_bytes) as folder:
        pauses = measure_pauses(folder, size_bytes, rounds, progress)
    with scratch_folder(_COPIES * size_bytes) as folder:
        restores = measure_restores(folder, size_bytes, rounds, progress)
    with scratch_folder(_COPIES * size_bytes) as folder:
        stalls = measure_stalls(folder, size_bytes // _MEMBERS_PER_SIZE, rounds, progress)
    return Figures(pauses, restores, updates, stalls)


def _goals(figures: Figures) -> list[Any]:
    return goals(figures.pauses, figures.restores, figures.updates, figures.stalls)


def _title(options: argparse.Namespace) -> str:
    return (
        f"{format_size(options.size)} in dram, {options.rounds} rounds, "
        f"{os.cpu_count()} processors, Linux {platform.release()}"
    )


def _write_json(file: Path, figures: Figures, options: argparse.Namespace) -> None:
    document = {
        "machine": {
            "processors": os.cpu_count(),
            "kernel": platform.release(),
            "architecture": platform.machine(),
            "python": platform.python_version(),
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        },
        "size_bytes": options.size,
        "rounds": options.rounds,
        "goals": [goal.record() for goal in _goals(figures)],
        "figures": figures.record(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1))


def _records(figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        name: {figure: samples.record() for figure, samples in row.items()}
        for name, row in figures.items()
    }


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
