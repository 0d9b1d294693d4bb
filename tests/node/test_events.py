"""Watchers of the service: bounded, and never waited for."""

import asyncio

import pytest

from mmsnap.errors import AbortedError, InUseError
from mmsnap.node.events import WATCHERS_MAX, Event, Events


def test_watcher_that_does_not_read_is_cut_off_and_the_others_hear_all() -> None:
    async def use() -> None:
        events = Events()
        lazy, eager = events.watch(), events.watch()
        heard: list[int] = []
        hear = heard.append

        async def listen() -> None:
            async for event in eager:
                hear(event.epoch)

        first = asyncio.ensure_future(anext(lazy))
        listening = asyncio.create_task(listen())
        for epoch in range(1000):
            await asyncio.sleep(0)
            events.tell(Event("checkpoint", "g", epoch=epoch))
        await asyncio.sleep(0)
        assert (await first).epoch == heard[0]
        assert heard[-1] == 999
        with pytest.raises(AbortedError, match="behind"):
            async for _ in lazy:
                pass
        listening.cancel()

    asyncio.run(use())


def test_watchers_are_bounded() -> None:
    async def use() -> None:
        events = Events()
        waiting = [asyncio.ensure_future(anext(events.watch())) for _ in range(WATCHERS_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(InUseError):
            await anext(events.watch())
        for one in waiting:
            one.cancel()

    asyncio.run(use())
