"""What the demo shows: where it is, on stderr, and how it came out, on stdout."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mmsnap.demo.trials import Trial
from mmsnap.quantities import format_duration, format_size

_SHORTEST_COLUMNS: Final = 100


class Screen:
    """Progress while the demo runs, tables at its end; used as a context manager."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("flights"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Screen:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._progress.console.print(text, highlight=False, markup=False)

    def begin(self, flights: int, folder: Path, seed: int) -> None:
        """The flights are read."""
        self._progress.update(self._task, total=flights)
        self.say(f"{flights:,} flights, pools in {folder}, seed {seed}")

    def tell(self, taken: int, text: str) -> None:
        """So many flights are read in this trial; `text`, unless empty, says what happened."""
        self._progress.update(self._task, completed=taken)
        if text:
            self.say(f"  {text}")

    def show(self, trials: Sequence[Trial], *, passed: bool) -> None:
        """The tables and the verdict."""
        console = Console()
        if console.width < _SHORTEST_COLUMNS:
            console = Console(width=_SHORTEST_COLUMNS)
        console.print(_pause_table(trials), "", _outcome_table(trials), "", sep="\n")
        console.print(_verdict(trials[1], passed), highlight=False)

    def show_json(self, trials: Sequence[Trial], *, passed: bool) -> None:
        """The same as one JSON document; times in nanoseconds, sizes in bytes."""
        document = {"passed": passed, "trials": [_record(trial) for trial in trials]}
        Console(soft_wrap=True).print_json(json.dumps(document))


def _pause_table(trials: Sequence[Trial]) -> Table:
    headers = ("checkpoints", "aborted by a kill", "pause median", "p99", "worst", "copied, each")
    table = _table("Checkpoints", *headers)
    for trial in trials:
        figures = _pauses(trial)
        if figures:
            pauses = [format_duration(round(figures[name])) for name in ("median", "p99", "worst")]
            copied = format_size(round(statistics.median(_sizes(trial))))
            table.add_row(
                trial.title, str(len(_sizes(trial))), str(trial.course.aborted), *pauses, copied
            )
    return table


def _outcome_table(trials: Sequence[Trial]) -> Table:
    headers = ("kills", "memory back", "running again", "sent again", "lost", "twice", "totals")
    table = _table("Outcome", *headers)
    for trial in trials:
        recoveries = trial.course.recoveries
        memory = _longest([each.memory_ns for each in recoveries])
        running = _longest([each.running_ns for each in recoveries])
        counts = (trial.course.resent, trial.lost, trial.duplicated)
        verdict = "[green]equal[/]" if trial.equal else "[red]differ[/]"
        table.add_row(
            trial.title, str(len(recoveries)), memory, running, *(f"{n:,}" for n in counts), verdict
        )
    return table


def _verdict(group: Trial, passed: bool) -> str:
    if not passed:
        return "[bold red]FAILED[/]: the totals differ from those of a run that nobody disturbed"
    kills = len(group.course.recoveries)
    return (
        f"[bold green]passed[/]: the group was killed {kills} times, and its totals equal those\n"
        "of a run that nobody disturbed, to the last bit"
    )


def _record(trial: Trial) -> dict[str, Any]:
    course = trial.course
    return {
        "title": trial.title,
        "seconds": course.seconds,
        "checkpoints": len(course.cuts),
        "aborted": course.aborted,
        "pause_ns": _pauses(trial),
        "bytes_written": sum(_sizes(trial)),
        "recoveries": [
            {
                "lost_flights": each.lost_flights,
                "memory_ns": each.memory_ns,
                "running_ns": each.running_ns,
            }
            for each in course.recoveries
        ],
        "messages": {"resent": course.resent, "missing": course.missing},
        "updates": {"lost": trial.lost, "duplicated": trial.duplicated},
        "equal": trial.equal,
    }


def _pauses(trial: Trial) -> dict[str, float]:
    pauses = [cut.pause_ns for cut in trial.course.cuts]
    if len(pauses) < 2:
        return {}
    hundredths = statistics.quantiles(pauses, n=100, method="inclusive")
    return {"median": statistics.median(pauses), "p99": hundredths[98], "worst": max(pauses)}


def _sizes(trial: Trial) -> list[int]:
    return [cut.bytes_written for cut in trial.course.cuts]


def _longest(durations_ns: list[int]) -> str:
    return format_duration(max(durations_ns)) if durations_ns else ""


def _table(title: str, *headers: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("")
    for header in headers:
        table.add_column(header, justify="right")
    return table
