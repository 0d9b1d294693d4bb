"""A container runtime that does as a test wants, also what a real one would not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from mmsnap.pods.nri import NriPlugin
from mmsnap.pods.nri.mux import PLUGIN_CONNECTION, RUNTIME_CONNECTION, Mux
from mmsnap.pods.nri.nri_pb2 import (
    ConfigureRequest,
    ConfigureResponse,
    Container,
    CreateContainerRequest,
    CreateContainerResponse,
    Mount,
    PodSandbox,
    SynchronizeRequest,
    SynchronizeResponse,
)
from mmsnap.pods.nri.session import PLUGIN_SERVICE
from mmsnap.pods.nri.ttrpc import CallError, Client, Server
from mmsnap.pods.nri.wrapping import WRAP_ANNOTATION

Script = Callable[["Line"], Awaitable[None]]


class Line:
    """The runtime's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.refusal: CallError | None = None
        self._registered = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self.mux = Mux(reader, writer)
        self._plugin = Client(self.mux.sender(PLUGIN_CONNECTION))
        self.mux.receive_with(PLUGIN_CONNECTION, self._plugin.receive)
        self.mux.receive_with(
            RUNTIME_CONNECTION, Server(self.mux.sender(RUNTIME_CONNECTION), self._answer).receive
        )

    def listen(self) -> asyncio.Task[None]:
        """Hears the plugin until the connection ends."""
        self._listening = self._listening or asyncio.create_task(self.mux.run())
        return self._listening

    def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        self.writer.close()

    async def call(self, method: str, payload: bytes = b"") -> bytes:
        return await self._plugin.call(PLUGIN_SERVICE, method, payload)

    async def synchronize(
        self, *parts: SynchronizeRequest, name: str = "scripted", version: str = "1"
    ) -> None:
        """Does all that comes before the plugin is asked about containers."""
        self.listen()
        await self._registered.wait()
        request = ConfigureRequest(runtime_name=name, runtime_version=version)
        configured = await self.call("Configure", request.SerializeToString())
        assert ConfigureResponse.FromString(configured).events == 8
        for part in parts or (SynchronizeRequest(),):
            answer = await self.call("Synchronize", part.SerializeToString())
            assert SynchronizeResponse.FromString(answer).more == part.more

    async def create(self, pod: PodSandbox, container: Container) -> list[str]:
        """What the plugin wants the arguments to be; none for as they are."""
        request = CreateContainerRequest(pod=pod, container=container)
        answer = await self.call("CreateContainer", request.SerializeToString())
        return list(CreateContainerResponse.FromString(answer).adjust.args)

    def _answer(self, service: str, method: str, payload: bytes) -> bytes:
        assert (service, method) == ("nri.pkg.api.v1alpha1.Runtime", "RegisterPlugin")
        if self.refusal is not None:
            raise self.refusal
        self._registered.set()
        return b""


class Told(asyncio.Queue[tuple[bool, str]]):
    """What a plugin told of its connection."""

    def __call__(self, connected: bool, reason: str) -> None:
        self.put_nowait((connected, reason))

    async def wait(self, connected: bool) -> str:
        while (told := await asyncio.wait_for(self.get(), 10))[0] != connected:
            pass
        return told[1]


@asynccontextmanager
async def scripted(socket: Path, *scripts: Script) -> AsyncIterator[list[Line]]:
    """Serves at `socket`: each connection as its script says, the last one all that follow.

    Yields:
        The connections so far.
    """
    lines: list[Line] = []
    failures: list[BaseException] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        lines.append(line)
        try:
            await scripts[min(len(lines), len(scripts)) - 1](line)
        except (asyncio.CancelledError, ConnectionError):
            pass
        except BaseException as failure:
            failures.append(failure)
        finally:
            line.close()

    server = await asyncio.start_unix_server(serve, socket)
    try:
        yield lines
    finally:
        server.close()
        for line in lines:
            line.close()
    assert not failures, failures


@asynccontextmanager
async def running(plugin: NriPlugin) -> AsyncIterator[None]:
    task = asyncio.create_task(plugin.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def pod(*named: str) -> PodSandbox:
    return PodSandbox(
        id="p1", name="web", namespace="demo", annotations={WRAP_ANNOTATION: ",".join(named)}
    )


def container(name: str, *args: str, folder: str = "/opt/memverge") -> Container:
    return Container(
        id=f"c-{name}", pod_sandbox_id="p1", name=name, args=args or ["/serve", "all day"],
        mounts=[Mount(destination=folder)],
    )  # fmt: skip
