"""`mmsnap demo`: all trials, one after the other, and whether they came out as they must.

Reading the command line is for `mmsnap.cli`; this module is called with what was read.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from random import Random

from mmsnap.demo.report import Screen
from mmsnap.demo.stream import load_flights
from mmsnap.demo.trials import Pace, Trial, Trials, scratch_folder


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
    """The trials of a demo that is over."""

    undisturbed: Trial
    group: Trial
    one_by_one: Trial

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All of them, in their order."""
        return self.undisturbed, self.group, self.one_by_one

    @property
    def passed(self) -> bool:
        """The killed group came out as the undisturbed one did, and as a plain loop does."""
        return self.undisturbed.equal and self.group.equal


def run(options: DemoOptions) -> DemoResult:
    """Runs all trials and shows how they came out; leaves nothing behind, also on Ctrl-C.

    Raises:
        UnsupportedError: the flights are not installed, or this machine can not track memory.
        ProcessEndedError: a worker failed; what it said last is in the message.
        BrokenPromiseError: workers came back to another checkpoint than they must.
        TimeoutError: a trial did not end.
    """
    return asyncio.run(_run(options))


async def _run(options: DemoOptions) -> DemoResult:
    _cancel_on_termination()
    random = Random(options.seed)
    with Screen() as screen, scratch_folder() as folder:
        screen.say("reading the flights")
        flights = load_flights(options.flights)
        screen.begin(flights.shape[1], folder, options.seed)
        async with Trials.open(folder, flights, screen.tell) as trials:
            result = DemoResult(
                undisturbed=await trials.undisturbed(),
                group=await trials.as_group(options.pace, random),
                one_by_one=await trials.one_by_one(options.pace, random),
            )
    if options.json:
        screen.show_json(result.trials, passed=result.passed)
    else:
        screen.show(result.trials, passed=result.passed)
    return result


def _cancel_on_termination() -> None:
    """SIGTERM and a closed terminal unwind as Ctrl-C does, so that nothing is left behind."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
