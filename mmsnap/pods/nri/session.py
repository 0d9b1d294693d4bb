"""One connection with containerd: registered, synchronized, then asked about each new container.

containerd keeps a container waiting while it asks, and refuses the container where the answer is an
error. So every answer is given at once, and whatever goes wrong here leaves the container as it is.
When to connect, and what to do when it is over, is the plugin's to decide.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from mmsnap.pods.nri.mux import PLUGIN_CONNECTION, RUNTIME_CONNECTION, Mux
from mmsnap.pods.nri.nri_pb2 import (
    CONTAINER_CREATED,
    CONTAINER_RUNNING,
    CREATE_CONTAINER,
    DESCRIPTOR,
    ConfigureRequest,
    ConfigureResponse,
    Container,
    ContainerAdjustment,
    CreateContainerRequest,
    CreateContainerResponse,
    Empty,
    LinuxContainerAdjustment,
    LinuxDevice,
    PodSandbox,
    RegisterPluginRequest,
    SynchronizeRequest,
    SynchronizeResponse,
)
from mmsnap.pods.nri.runtimes import why_too_old
from mmsnap.pods.nri.ttrpc import UNIMPLEMENTED, CallError, Client, Server

log = logging.getLogger(__name__)

PLUGIN_NAME: Final = "mmsnap"
# The last to be asked: what others made of the arguments is wrapped too, and nobody after us claims
# them, which containerd would refuse the container for.
PLUGIN_INDEX: Final = "99"

RUNTIME_SERVICE: Final[str] = DESCRIPTOR.services_by_name["Runtime"].full_name
PLUGIN_SERVICE: Final[str] = DESCRIPTOR.services_by_name["Plugin"].full_name

# containerd's own time for a registration.
_REGISTRATION_SECONDS: Final = 5.0
# It synchronizes when no container is being created, which can take a while on a busy node.
_SYNCHRONIZATION_SECONDS: Final = 60.0

# The arguments are ours from here on, whoever set them before.
_TAKEN_OVER: Final = ""

Wrap = Callable[[PodSandbox, Container], list[str] | None]
Lend = Callable[[Container], LinuxDevice | None]
Missed = Callable[[PodSandbox, Container], None]

_T = TypeVar("_T")
_M = TypeVar("_M", bound=Message)


class SessionError(Exception):
    """The connection cannot be used or is over; the text says why, for people."""


class Session:
    """Speaks with containerd over one connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        wrap: Wrap,
        lend: Lend,
        missed: Missed,
    ) -> None:
        self._wrap = wrap
        self._lend = lend
        self._missed = missed
        self._runtime = "the container runtime"
        self._too_old: str | None = None
        self._synchronized = asyncio.Event()
        self._shut_down = False
        self._awaited = ""
        self._pods: dict[str, PodSandbox] = {}
        self._containers: list[Container] = []
        self._mux = Mux(reader, writer)
        self._client = Client(self._mux.sender(RUNTIME_CONNECTION))
        self._mux.receive_with(RUNTIME_CONNECTION, self._client.receive)
        server = Server(self._mux.sender(PLUGIN_CONNECTION), self._answer)
        self._mux.receive_with(PLUGIN_CONNECTION, server.receive)
        self._answers: dict[str, Callable[[bytes], Message]] = {
            "Configure": self._configure,
            "Synchronize": self._synchronize,
            "CreateContainer": self._create_container,
            "Shutdown": self._shutdown,
        }

    async def run(self, ready: Callable[[bool, str], None]) -> None:
        """Runs until the connection is over.

        Args:
            ready: called once when the runtime has begun to ask, with whether commands can be
                wrapped there, and a sentence for people. Where not, it is only waited for the end.

        Raises:
            SessionError: always, with the reason for the end.
        """
        reading = asyncio.create_task(self._mux.run())
        try:
            await self._step(reading, "register", self._register(), _REGISTRATION_SECONDS)
            await self._step(
                reading, "synchronize", self._synchronized.wait(), _SYNCHRONIZATION_SECONDS
            )
            ready(not self._too_old, self._too_old or f"{self._runtime} asks about new containers")
            await reading
            raise SessionError(self._end())
        except CallError as error:
            raise SessionError(f"{self._runtime} refused the registration: {error}") from error
        except (BrokenPipeError, ConnectionResetError) as error:
            raise SessionError(self._end()) from error
        except OSError as error:
            raise SessionError(f"the connection broke: {error}") from error
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _step(
        self, reading: asyncio.Task[None], name: str, step: Awaitable[_T], seconds: float
    ) -> _T:
        """Waits for `step`, but not beyond the connection's end nor for longer than `seconds`."""
        waiting = asyncio.ensure_future(step)
        self._awaited = name
        try:
            await asyncio.wait(
                {waiting, reading}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if waiting.done():
                self._awaited = ""
                return waiting.result()
        finally:
            waiting.cancel()
        if reading.done():
            reading.result()
            raise SessionError(self._end())
        raise SessionError(f"{self._runtime} did not let the plugin {name} within {seconds:g} s")

    def _end(self) -> str:
        how = "shut the plugin down" if self._shut_down else "hung up"
        when = f" before it let the plugin {self._awaited}" if self._awaited else ""
        return f"{self._runtime} {how}{when}"

    async def _register(self) -> None:
        request = RegisterPluginRequest(plugin_name=PLUGIN_NAME, plugin_idx=PLUGIN_INDEX)
        await self._client.call(RUNTIME_SERVICE, "RegisterPlugin", request.SerializeToString())

    def _answer(self, service: str, method: str, payload: bytes) -> bytes:
        answer = self._answers.get(method) if service == PLUGIN_SERVICE else None
        if answer is None:
            raise CallError(UNIMPLEMENTED, f"{service}/{method} is not served")
        return answer(payload).SerializeToString()

    def _configure(self, payload: bytes) -> ConfigureResponse:
        request = _read(ConfigureRequest, payload)
        name, version = request.runtime_name, request.runtime_version
        self._runtime = f"{name} {version}".strip() or self._runtime
        self._too_old = why_too_old(name, version)
        return ConfigureResponse(events=1 << (CREATE_CONTAINER - 1))

    def _synchronize(self, payload: bytes) -> SynchronizeResponse:
        request = _read(SynchronizeRequest, payload)
        self._pods.update((pod.id, pod) for pod in request.pods)
        self._containers += request.containers
        if not request.more:
            self._look_for_missed()
            self._synchronized.set()
        return SynchronizeResponse(more=request.more)

    def _look_for_missed(self) -> None:
        pods, containers = self._pods, self._containers
        self._pods, self._containers = {}, []
        for container in containers:
            pod = pods.get(container.pod_sandbox_id)
            live = container.state in (CONTAINER_CREATED, CONTAINER_RUNNING)
            if pod is not None and live and self._wrapped(pod, container):
                try:
                    self._missed(pod, container)
                except Exception:
                    log.exception("telling of a container that was not wrapped")

    def _create_container(self, payload: bytes) -> CreateContainerResponse:
        request = _read(CreateContainerRequest, payload)
        pod, container = request.pod, request.container
        adjustment = ContainerAdjustment()
        arguments = self._wrapped(pod, container)
        if arguments:
            adjustment.args.extend([_TAKEN_OVER, *arguments])
            log.info("wrapped %s of %s/%s", container.name, pod.namespace, pod.name)
        device = self._lent(pod, container)
        if device is not None:
            adjustment.linux.CopyFrom(LinuxContainerAdjustment(devices=[device]))
        if not adjustment.ByteSize():
            return CreateContainerResponse()
        return CreateContainerResponse(adjust=adjustment)

    def _lent(self, pod: PodSandbox, container: Container) -> LinuxDevice | None:
        try:
            return self._lend(container)
        except Exception:
            log.exception("%s of %s/%s gets no device", container.name, pod.namespace, pod.name)
            return None

    def _wrapped(self, pod: PodSandbox, container: Container) -> list[str] | None:
        try:
            return None if self._too_old else self._wrap(pod, container)
        except Exception:
            log.exception("%s of %s/%s is left as it is", container.name, pod.namespace, pod.name)
            return None

    def _shutdown(self, _payload: bytes) -> Empty:
        self._shut_down = True
        return Empty()


def _read(kind: type[_M], payload: bytes) -> _M:
    """The request, or an empty one where it cannot be read: then nothing is asked for."""
    try:
        return kind.FromString(payload)
    except DecodeError as error:
        log.warning("a request of the container runtime cannot be read: %s", error)
        return kind()
