"""The plugin against a container runtime that is late, silent, broken or hostile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmsnap.pods.nri import INIT_COMMAND, NriPlugin, mux, session, ttrpc, wrap_named
from mmsnap.pods.nri.nri_pb2 import (
    CONTAINER_RUNNING,
    CONTAINER_STOPPED,
    Container,
    CreateContainerRequest,
    CreateContainerResponse,
    PodSandbox,
    SynchronizeRequest,
)
from mmsnap.pods.nri.runtimes import why_too_old
from mmsnap.pods.nri.session import PLUGIN_SERVICE
from mmsnap.pods.nri.ttrpc import CallError
from mmsnap.pods.nri.ttrpc_pb2 import Request
from tests.pods.scripted_runtime import Line, Told, container, pod, running, scripted

WRAPPED = ["", *INIT_COMMAND, "/serve", "all day"]


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "nri.sock"


async def good(line: Line) -> None:
    """Does as containerd does, and then hears the plugin until the connection ends."""
    await line.synchronize()
    await line.listen()


def beginning(then: Callable[[Line], Awaitable[None]]) -> Callable[[Line], Awaitable[None]]:
    async def script(line: Line) -> None:
        await line.synchronize()
        await then(line)

    return script


async def create_with(
    plugin: NriPlugin, socket: Path, *asked: tuple[PodSandbox, Container]
) -> list[list[str]]:
    """What the plugin answers to each."""
    answers: asyncio.Future[list[list[str]]] = asyncio.get_running_loop().create_future()

    async def then(line: Line) -> None:
        answers.set_result([await line.create(*each) for each in asked])
        await line.listen()

    async with scripted(socket, beginning(then)), running(plugin):
        return await asyncio.wait_for(answers, 10)


def test_only_named_containers_are_wrapped(socket: Path) -> None:
    answers = asyncio.run(
        create_with(
            NriPlugin(socket),
            socket,
            (pod("main", " second"), container("main")),
            (pod("main", " second"), container("second")),
            (pod("main", " second"), container("third")),
            (pod("main"), container("main", INIT_COMMAND[0], "--", "/serve")),
            (pod("main"), container("main", folder="/opt/memverge-other")),
            (PodSandbox(name="plain"), container("main")),
            (PodSandbox(name="plain"), Container()),
        )
    )
    assert answers == [WRAPPED, WRAPPED, [], [], [], [], []]


def test_where_wrapping_fails_the_container_is_left_as_it_is(socket: Path) -> None:
    def wrap(pod: PodSandbox, container: Container) -> list[str] | None:
        if container.name == "bad":
            raise RuntimeError("as it was asked to")
        return wrap_named(pod, container)

    asked = [(pod("bad", "main"), container(name)) for name in ("bad", "main")]
    answers = asyncio.run(create_with(NriPlugin(socket, wrap), socket, *asked))
    assert answers == [[], WRAPPED]


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=40).map(lambda b: b"\x0a" + b)))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_is_answered_with_an_error(tmp_path: Path, payload: bytes) -> None:
    """An error would have containerd refuse the container."""
    socket = tmp_path / f"{os.urandom(4).hex()}.sock"
    answered = asyncio.Event()

    async def then(line: Line) -> None:
        assert CreateContainerResponse.FromString(await line.call("CreateContainer", payload))
        with pytest.raises(CallError):
            await line.call("NotOfThisVersion")
        answered.set()

    async def main() -> None:
        async with scripted(socket, beginning(then)), running(NriPlugin(socket)):
            await asyncio.wait_for(answered.wait(), 10)

    asyncio.run(main())


def test_a_socket_that_comes_late_is_found(socket: Path) -> None:
    async def main() -> None:
        told = Told()
        async with running(NriPlugin(socket, on_state=told)):
            assert "NRI disabled" in await told.wait(False)
            async with scripted(socket, good):
                assert await told.wait(True) == "scripted 1 asks about new containers"
            assert "hung up" in await told.wait(False)

    asyncio.run(main())


async def say_nothing(line: Line) -> None:
    await line.reader.read()


async def never_synchronize(line: Line) -> None:
    await line.listen()


async def send_garbage(line: Line) -> None:
    line.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await line.reader.read()


async def garbage_within_frames(line: Line) -> None:
    line.mux.sender(2)(b"\xff" * 100)
    await line.reader.read()


async def refuse(line: Line) -> None:
    line.refusal = CallError(3, "invalid plugin index")
    await line.listen()


async def hang_up(line: Line) -> None:
    pass


async def shut_down(line: Line) -> None:
    await line.call("Shutdown")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (say_nothing, "did not let the plugin register within 0.2 s"),
        (never_synchronize, "did not let the plugin synchronize within 0.2 s"),
        (send_garbage, "the connection broke: a frame of"),
        (garbage_within_frames, "the connection broke: a frame of"),
        (refuse, "refused the registration: invalid plugin index"),
        (hang_up, "hung up before it let the plugin register"),
        (beginning(hang_up), "scripted 1 hung up"),
        (beginning(shut_down), "scripted 1 shut the plugin down"),
    ],
)
def test_what_goes_wrong_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
    socket: Path,
    script: Callable[[Line], Awaitable[None]],
    reason: str,
) -> None:
    patience = {say_nothing: "_REGISTRATION_SECONDS", never_synchronize: "_SYNCHRONIZATION_SECONDS"}
    if script in patience:
        monkeypatch.setattr(session, patience[script], 0.2)

    async def main() -> None:
        told = Told()
        async with scripted(socket, script, good), running(NriPlugin(socket, on_state=told)):
            assert reason in await told.wait(False)
            await told.wait(True)

    asyncio.run(main())


def test_a_runtime_that_always_hangs_up_is_not_tried_in_haste(socket: Path) -> None:
    async def main() -> None:
        told = Told()
        async with (
            scripted(socket, beginning(hang_up)) as lines,
            running(NriPlugin(socket, on_state=told)),
        ):
            await asyncio.sleep(2)
            assert 2 <= len(lines) <= 6

    asyncio.run(main())


def test_a_reason_is_told_once(socket: Path) -> None:
    async def main() -> None:
        told = Told()
        async with running(NriPlugin(socket, on_state=told)):
            await asyncio.sleep(1)
            assert told.qsize() == 1

    asyncio.run(main())


def test_who_is_told_may_fail(socket: Path) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("as it was asked to")

    running_unwrapped = container("main")
    running_unwrapped.state = CONTAINER_RUNNING
    state = SynchronizeRequest(pods=[pod("main")], containers=[running_unwrapped])
    done = asyncio.Event()

    async def script(line: Line) -> None:
        await line.synchronize(state)
        assert await line.create(pod("main"), container("main")) == WRAPPED
        done.set()
        await line.listen()

    async def main() -> None:
        plugin = NriPlugin(socket, on_state=fail, on_missed=fail)
        async with scripted(socket, hang_up, script), running(plugin):
            await asyncio.wait_for(done.wait(), 10)

    asyncio.run(main())


def test_what_was_missed_is_told_also_when_it_comes_in_parts(socket: Path) -> None:
    def in_state(state: int, name: str, *args: str) -> Container:
        made = container(name, *args)
        made.state = state  # type: ignore[assignment]
        return made

    parts = [
        SynchronizeRequest(pods=[pod("main", "second", "third")], more=True),
        SynchronizeRequest(containers=[in_state(CONTAINER_RUNNING, "main")], more=True),
        SynchronizeRequest(
            containers=[
                in_state(CONTAINER_STOPPED, "second"),
                in_state(CONTAINER_RUNNING, "third", *INIT_COMMAND, "/serve"),
                in_state(CONTAINER_RUNNING, "fourth"),
            ]
        ),
    ]
    missed: list[tuple[str, str]] = []

    async def script(line: Line) -> None:
        await line.synchronize(*parts)
        await line.listen()

    async def main() -> None:
        told = Told()
        plugin = NriPlugin(
            socket, on_state=told, on_missed=lambda pod, it: missed.append((pod.name, it.name))
        )
        async with scripted(socket, script), running(plugin):
            await told.wait(True)

    asyncio.run(main())
    assert missed == [("web", "main")]


def test_who_does_not_read_is_not_read_from(socket: Path) -> None:
    """Or answers would gather in memory without end."""
    big = container("main", "/serve", "x" * (1 << 20))
    asked = CreateContainerRequest(pod=pod("main"), container=big).SerializeToString()
    call = Request(service=PLUGIN_SERVICE, method="CreateContainer", payload=asked)
    streams = range(5, 105, 2)
    answered: Future[list[int]] = Future()

    async def then(line: Line) -> None:
        line.listen().cancel()
        for stream in streams:
            message = ttrpc.message(stream, ttrpc.REQUEST, call.SerializeToString())
            line.writer.write(mux.frames_of_message(mux.PLUGIN_CONNECTION, message))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(line.writer.drain(), 1)
        frames, messages, got = mux.frame_splitter(), ttrpc.message_splitter(), []
        while len(got) < len(streams):
            for _, payload in frames.feed(await line.reader.read(1 << 16)):
                got += [ttrpc.read_header(header)[0] for header, _ in messages.feed(payload)]
        answered.set_result(got)

    async def main() -> list[int]:
        async with scripted(socket, beginning(then)), running(NriPlugin(socket)):
            return await asyncio.wait_for(asyncio.wrap_future(answered), 30)

    assert asyncio.run(main()) == list(streams)


def test_a_runtime_that_would_ignore_us_is_not_taken_for_one_that_wraps(socket: Path) -> None:
    answer: Future[list[str]] = Future()

    async def script(line: Line) -> None:
        await line.synchronize(name="containerd", version="v2.1.5")
        answer.set_result(await line.create(pod("main"), container("main")))
        await line.listen()

    async def main() -> None:
        told = Told()
        async with scripted(socket, script, good), running(NriPlugin(socket, on_state=told)):
            assert "2.2 is the first that does" in await told.wait(False)
            assert await asyncio.wrap_future(answer) == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "version", "good_enough"),
    [
        ("containerd", "v2.2.1", True),
        ("containerd", "2.2.0+unknown", True),
        ("containerd", "v2.10.0-rc.1", True),
        ("containerd", "v10.0.0", True),
        ("containerd", "1.7.27", False),
        ("cri-o", "1.33.8", False),
        ("cri-o", "1.34.0", True),
        ("containerd", "of somebody", True),
        ("", "", True),
    ],
)
def test_versions_are_compared_as_numbers(name: str, version: str, good_enough: bool) -> None:
    assert (why_too_old(name, version) is None) == good_enough


def test_to_be_cancelled_ends_the_connection(socket: Path) -> None:
    ended = asyncio.Event()

    async def script(line: Line) -> None:
        await good(line)
        ended.set()

    async def main() -> None:
        told = Told()
        async with scripted(socket, script):
            async with running(NriPlugin(socket, on_state=told)):
                await told.wait(True)
            await asyncio.wait_for(ended.wait(), 10)

    asyncio.run(main())
