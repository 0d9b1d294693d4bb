"""Runs one operation on the switchboard, from the event loop.

The bridge between the two threads: the operation starts over there, its record
is made over here, and its end comes back as a future.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from mmsnap.group import Finished, Operation
from mmsnap.node.conductor import Audience, Conductor, MemberLine
from mmsnap.node.enlistment import RemoteSeat
from mmsnap.node.seats import Seat
from mmsnap.node.switchboard import Switchboard

Participant = Seat | RemoteSeat


async def perform(
    switchboard: Switchboard,
    operation: Operation,
    seats: Iterable[Participant],
    *,
    record: Callable[[], Awaitable[None]],
    step: Callable[[str], None],
) -> Finished:
    """Carry out `operation` with these seats; returns when it is over.

    `record` writes it into the catalog when the operation asks for that; what it
    raises aborts the operation. `step` hears of the steps in which nobody is held.
    Must not be cancelled: an operation ends by its own budgets.
    """
    loop = asyncio.get_running_loop()
    over: asyncio.Future[Finished] = loop.create_future()
    tasks: set[asyncio.Task[None]] = set()
    taking_part = tuple(seats)

    async def settle(conductor: Conductor) -> None:
        accepted, reason = True, ""
        try:
            await record()
        except Exception as error:
            accepted, reason = False, str(error)
        switchboard.post(lambda: switchboard.answer(conductor, accepted, reason))

    def begin() -> None:
        lines: dict[str, MemberLine | None] = {
            seat.name: seat.line if isinstance(seat, RemoteSeat) else switchboard.line(seat.token)
            for seat in taking_part
        }
        conductor = Conductor(
            operation,
            {name: line for name, line in lines.items() if line is not None},
            Audience(
                decide=lambda: tell(lambda: tasks.add(loop.create_task(settle(conductor)))),
                step=lambda name: tell(lambda: step(name)),
                finished=lambda finished: tell(lambda: over.set_result(finished)),
            ),
        )
        switchboard.conduct(conductor)

    def tell(function: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(function)

    switchboard.post(begin)
    return await over
