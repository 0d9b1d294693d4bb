"""The figures as one picture: pauses by dirty pages, and the way back to the array.

Both scales are logarithmic: what matters is how many times, not how much.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from measurement.pauses import CONTENDERS, Pauses
from measurement.restores import Restores
from measurement.samples import Samples

_MS = 1e6
_BYTES = {"first_ns": "first byte", "last_ns": "last byte"}


def draw(pauses: Pauses, restores: Restores, title: str, file: Path) -> None:
    """Writes the picture to `file`; bars are medians, whiskers reach to the worst."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), width_ratios=(3, 2))
    _draw_pauses(left, pauses)
    _draw_restores(right, restores)
    figure.suptitle(title)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def _draw_pauses(axes: Any, pauses: Pauses) -> None:
    width = 0.8 / len(CONTENDERS)
    for number, name in enumerate(CONTENDERS):
        places = [place + (number - 2) * width for place in range(len(pauses))]
        samples = [contenders[name]["stall_ns"] for contenders in pauses.values()]
        _bars(axes, places, samples, width, label=name)
    axes.set_xticks(range(len(pauses)), [f"{fraction:.1%}" for fraction in pauses])
    axes.set_xlabel("pages dirty")
    axes.set_ylabel("longest gap of the writing loop, ms")
    axes.set_title("pause")
    axes.set_ylim(top=10 * axes.get_ylim()[1])
    axes.legend(loc="upper left", ncols=3)


def _draw_restores(axes: Any, restores: Restores) -> None:
    for number, (figure, label) in enumerate(_BYTES.items()):
        places = [place + (number - 0.5) * 0.4 for place in range(len(restores))]
        samples = [figures[figure] for figures in restores.values()]
        _bars(axes, places, samples, 0.4, label=f"to the {label}")
    axes.set_xticks(range(len(restores)), [way.replace(" in ", "\nin ") for way in restores])
    axes.set_ylabel("ms")
    axes.set_title("the array is back")
    axes.legend()


def _bars(axes: Any, places: list[float], samples: list[Samples], width: float, label: str) -> None:
    medians = [each.median_ns / _MS for each in samples]
    above = [(each.worst_ns - each.median_ns) / _MS for each in samples]
    axes.bar(places, medians, width, yerr=([0] * len(above), above), label=label, capsize=2)
    axes.set_yscale("log")
