"""The processes of the demo: workers and a node service, started, watched, killed and ended.

Every process has a session of its own, so that Ctrl-C reaches the conductor alone, which then ends
them in order; and every one of them is gone when its `async with` is left.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from mmsnap.demo.dialogue import Cut, Order, Progress, Ready, decode
from mmsnap.errors import AgentUnavailableError, MmsnapError
from mmsnap_sdk import aio

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 20.0
_LAST_WORDS_BYTES: Final = 2000


class ProcessEndedError(MmsnapError):
    """A process of the demo ended though nobody wanted it to."""


class WorkerProcess:
    """A worker, seen from the conductor.

    Attributes:
        progress: how far it was when it last reported.
    """

    def __init__(self, member: str, process: asyncio.subprocess.Process, errors: Path) -> None:
        self.member = member
        self.progress = Progress(taken=0, idle=False, resent=0, missing=0)
        self._process = process
        self._errors = errors
        self._ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._cuts: asyncio.Queue[Cut] = asyncio.Queue()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls, member: str, options: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> WorkerProcess:
        """Starts a worker whose errors go to a file in `folder`."""
        errors = folder / f"{member}.err"
        command = [sys.executable, "-m", "mmsnap.demo.worker", member, *options]
        with errors.open("wb") as stream:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stream,
                env=environment,
                start_new_session=True,
            )
        return cls(member, process, errors)

    async def ready(self) -> Ready:
        """When it has its memory."""
        return await self._unless_ended(self._ready)

    def order(self, order: Order) -> None:
        """Tells it to do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n".encode())

    async def checkpoint(self) -> Cut:
        """Has it take a checkpoint of itself."""
        self.order(Order.CHECKPOINT)
        return await self._unless_ended(asyncio.ensure_future(self._cuts.get()))

    def kill(self) -> None:
        """SIGKILL; `gone` waits for the end."""
        _signal(self._process, signal.SIGKILL)

    async def gone(self) -> int:
        """When the process is no more; its exit code."""
        await self._listening
        return await self._process.wait()

    async def finish(self) -> None:
        """Has it end in order; ProcessEndedError if it does not."""
        self.order(Order.FINISH)
        if await self.gone() != 0:
            raise self._end()

    def require_alive(self) -> None:
        """Raises ProcessEndedError, with what it last wrote to stderr, when it is not."""
        if self._listening.done():
            raise self._end()

    async def _unless_ended(self, awaited: asyncio.Future[T]) -> T:
        either: set[asyncio.Future[Any]] = {awaited, self._listening}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if awaited.done():
            return awaited.result()
        awaited.cancel()
        raise self._end()

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            match decode(line):
                case Ready() as ready:
                    self._ready.set_result(ready)
                case Progress() as progress:
                    self.progress = progress
                case Cut() as cut:
                    self._cuts.put_nowait(cut)

    def _end(self) -> ProcessEndedError:
        return _ended(f"the worker {self.member}", self._errors)


@asynccontextmanager
async def agent(pool: Path, folder: Path) -> AsyncIterator[str]:
    """A node service on `pool` while the block lasts; its address."""
    address = f"unix://{folder / 'agent.sock'}"
    program = Path(sys.executable).with_name("mmsnap")
    errors = folder / "agent.err"
    with errors.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *(program, "agent", "--pool", pool, "--address", address),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=stream,
            start_new_session=True,
        )
    try:
        await _answering(address, process)
        yield address
    except MmsnapError as error:
        if process.returncode is None:
            raise
        raise _ended("the node service", errors) from error
    finally:
        await _end(process)


def _ended(what: str, errors: Path) -> ProcessEndedError:
    last_words = errors.read_bytes()[-_LAST_WORDS_BYTES:].decode(errors="replace")
    return ProcessEndedError(f"{what} ended as it should not:\n{last_words}", subject=what)


def without_mmsnap_settings() -> dict[str, str]:
    """The environment, without what a user may have set for members of other groups."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MMSNAP_")}


async def _answering(address: str, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS), aio.Client(address) as client:
        while True:
            try:
                await client.usage()
                return
            except AgentUnavailableError:
                if process.returncode is not None:
                    raise
                await asyncio.sleep(0.05)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await process.wait()
    except TimeoutError:
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # Not through the process object: before it sends, it would reap a child that has ended, under
    # the feet of the event loop.
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
