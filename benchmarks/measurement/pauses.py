"""How long does the application stand still while its memory is captured?

Every round measures all contenders one after the other, on the same pages of the same contents.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from measurement.contenders import MmsnapContender, PlainContender
from measurement.crew import worker
from measurement.samples import Samples

FRACTIONS: Final = (0.001, 0.01, 0.1, 1.0)
CONTENDERS: Final = ("mmsnap", "fork", "fork, huge pages", "np.save", "pickle 5")

Figures = dict[str, Samples]
Pauses = dict[float, dict[str, Figures]]


def measure_pauses(
    folder: Path, size_bytes: int, rounds: int, progress: Callable[[str], None]
) -> Pauses:
    """Figures by fraction of dirty pages, by contender, by name of the figure."""
    with ExitStack() as stack:
        progress("warming the memory")
        mmsnap_worker = stack.enter_context(worker(MmsnapContender, folder / "pool", size_bytes))
        plain = stack.enter_context(worker(PlainContender, folder, size_bytes, False))
        huge = stack.enter_context(worker(PlainContender, folder, size_bytes, True))
        workers = dict.fromkeys(CONTENDERS, plain)
        workers |= {"mmsnap": mmsnap_worker, "fork, huge pages": huge}
        pauses: Pauses = {}
        for fraction in FRACTIONS:
            taken: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
            # Round 0 warms what the others then find warm: logs, files, page tables.
            for number in range(rounds + 1):
                for name in CONTENDERS:
                    progress(f"{fraction:.1%} dirty, round {number} of {rounds}: {name}")
                    figures = workers[name].ask("round", name, fraction, number)
                    if number:
                        taken[name].append(figures)
            pauses[fraction] = {name: _gather(rows) for name, rows in taken.items()}
        return pauses


def _gather(rows: list[dict[str, float]]) -> Figures:
    return {figure: Samples([row[figure] for row in rows]) for figure in rows[0]}
