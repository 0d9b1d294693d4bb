"""What mmsnap has to reach, and where its peers are better: both told, from the same figures.

A goal is a ratio between two figures of the same run wherever it can be, because absolute figures
say more about the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from measurement.pauses import CONTENDERS, Pauses
from measurement.restores import IN_PLACE, RESTORES, Restores
from measurement.samples import Samples, shown
from measurement.stalls import Stalls
from measurement.updates import Updates

_SLACK_NS = 2_000_000


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal, what was measured (medians), and whether it is met."""

    text: str
    limit: str
    measured: str
    met: bool

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Comparison:
    """mmsnap against one peer; `ratio` is how many times longer the peer's median is."""

    question: str
    peer: str
    mmsnap_ns: float
    peer_ns: float

    @property
    def ratio(self) -> float:
        return self.peer_ns / self.mmsnap_ns

    @property
    def won(self) -> bool:
        return self.mmsnap_ns < self.peer_ns


def goals(pauses: Pauses, restores: Restores, updates: Updates, stalls: Stalls) -> list[Goal]:
    """The goals for 1 GiB in dram, 1 % dirty; of another size the same, for what they are worth."""
    pause = {name: pauses[0.01][name]["stall_ns"] for name in CONTENDERS}
    load = restores["np.load"]["first_ns"]
    alone, beside = updates["alone"], updates["beside a busy thread"]
    return [
        _at_least("pause, 1 % dirty, against fork()", 5, pause["fork"], pause["mmsnap"]),
        _at_least("pause, 1 % dirty, against np.save", 100, pause["np.save"], pause["mmsnap"]),
        _at_least(
            "open() after a kill to the first byte, against np.load",
            100,
            load,
            restores["open"]["first_ns"],
        ),
        _at_least(
            "restore() in place to the first byte, against np.load",
            500,
            load,
            restores[IN_PLACE]["first_ns"],
        ),
        _at_most("update() entered and left", 500, alone["update()"].median_ns),
        _at_most(
            "update() beside a busy thread, 1.5 times an empty context manager there",
            1.5 * beside["empty"].median_ns,
            beside["update()"].median_ns,
        ),
        _group_goal("a group of three, against twice a member alone plus 2 ms", "stall", stalls),
        _group_goal("the same, as the checkpoints report it", "pause", stalls),
    ]


def comparisons(pauses: Pauses, restores: Restores) -> Iterator[Comparison]:
    """mmsnap against every peer in everything that was measured of both."""
    for fraction, contenders in pauses.items():
        for name in CONTENDERS[1:]:
            yield _compared(
                f"pause, {fraction:.1%} dirty",
                name,
                contenders["mmsnap"]["stall_ns"],
                contenders[name]["stall_ns"],
            )
    for figure, what in (("first_ns", "first byte"), ("last_ns", "last byte")):
        for mine in ("open", IN_PLACE):
            for peer in RESTORES[1:]:
                yield _compared(
                    f"{mine} to the {what}", peer, restores[mine][figure], restores[peer][figure]
                )


def _compared(question: str, peer: str, mine: Samples, theirs: Samples) -> Comparison:
    return Comparison(question, peer, mine.median_ns, theirs.median_ns)


def _at_least(text: str, times: float, peer: Samples, mine: Samples) -> Goal:
    ratio = peer.median_ns / mine.median_ns
    measured = f"{ratio:.1f} x ({shown(mine.median_ns)} : {shown(peer.median_ns)})"
    return Goal(text, f"at least {times:g} x", measured, ratio >= times)


def _group_goal(text: str, figure: str, stalls: Stalls) -> Goal:
    limit_ns = 2 * stalls[f"alone, {figure}"].median_ns + _SLACK_NS
    return _at_most(text, limit_ns, stalls[f"group, {figure}"].median_ns)


def _at_most(text: str, limit_ns: float, measured_ns: float) -> Goal:
    return Goal(text, f"at most {shown(limit_ns)}", shown(measured_ns), measured_ns <= limit_ns)
