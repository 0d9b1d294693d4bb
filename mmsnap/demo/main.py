"""`mmsnap demo`: all acts, one after the other, and whether they came out as they must.

Reading the command line is for `mmsnap.cli`; this module is called with what was read.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from random import Random

from mmsnap.demo.acts import Act, Pace, Theatre, stage
from mmsnap.demo.report import Screen
from mmsnap.demo.stream import load_flights


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a demo is asked to do.

    Attributes:
        flights: how many of the 336,776 flights, None for all.
        seed: of the moments at which the workers are killed.
        json: the result as one JSON document on stdout, instead of tables.
    """

    flights: int | None = None
    pace: Pace = field(default_factory=Pace)
    seed: int = 2013
    json: bool = False


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The acts of a demo that is over."""

    undisturbed: Act
    group: Act
    one_by_one: Act

    @property
    def passed(self) -> bool:
        """The killed group came out as the undisturbed one did, and as a plain loop does."""
        return self.undisturbed.equal and self.group.equal


def run(options: DemoOptions) -> DemoResult:
    """Plays all acts and shows how they came out; leaves nothing behind, also on Ctrl-C.

    Raises:
        UnsupportedError: the flights are not installed, or this machine can not track memory.
        ProcessEndedError: a worker failed; what it said last is in the message.
        BrokenPromiseError: workers came back to another checkpoint than they must.
        TimeoutError: an act did not end.
    """
    return asyncio.run(_run(options))


async def _run(options: DemoOptions) -> DemoResult:
    _cancel_on_termination()
    random = Random(options.seed)
    with Screen() as screen, stage() as folder:
        screen.say("reading the flights")
        flights = load_flights(options.flights)
        screen.begin(flights.shape[1], folder, options.seed)
        async with Theatre.open(folder, flights, screen.tell) as theatre:
            result = DemoResult(
                undisturbed=await theatre.undisturbed(),
                group=await theatre.as_group(options.pace, random),
                one_by_one=await theatre.one_by_one(options.pace, random),
            )
    acts = result.undisturbed, result.group, result.one_by_one
    if options.json:
        screen.show_json(acts, passed=result.passed)
    else:
        screen.show(acts, passed=result.passed)
    return result


def _cancel_on_termination() -> None:
    """SIGTERM and a closed terminal unwind as Ctrl-C does, so that nothing is left behind."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
