"""The shim of a program in a container: outside of it, with the node's rights, one for each.

Started by the node service when a container's mmsnap-init calls. It goes to where the container's
processes live (`mmsnap.process.premises`) and is a member in place of the program from then on, as
`mmsnap run` is on a machine; it outlives the service that started it. When it is gone, the program
runs on and mmsnap-init calls again.

After going there nothing of this package's files is in sight any more: whatever is needed has to
be imported before.
"""

from __future__ import annotations

# These are imported late by those who use them.
import concurrent.futures.thread  # noqa: F401
import encodings.idna  # noqa: F401
import linecache  # noqa: F401
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, get_args

import grpc._channel  # noqa: F401

from mmsnap.errors import AbortedError, MmsnapError
from mmsnap.node.peers import peer_of
from mmsnap.process.criu import find_in
from mmsnap.process.engine import Engine, Place
from mmsnap.process.freezer import Freezer, make_freezer_in_container
from mmsnap.process.network_lock import NetworkLock
from mmsnap.process.parts import tidy
from mmsnap.process.premises import enter_container
from mmsnap.process.trees import require_trees
from mmsnap.profiles import NO_PROFILE, Profile, choose
from mmsnap.shim.container import ContainerInit, Greeting, hear_greeting
from mmsnap.shim.supervisor import Order, Shim, log_to_stderr
from mmsnap_sdk import calls
from mmsnap_sdk.client import Client
from mmsnap_sdk.service_records import Application, OnLoss

log = logging.getLogger(__name__)

_PROC: Final = Path("/proc")
_CGROUPS: Final = Path("/sys/fs/cgroup")
# Those that ask over the network only: commands of a pod's owner must not run with our rights.
_PROFILES: Final = ("hazelcast", "redis")
_SWITCH_INTERVAL_SECONDS: Final = 0.0001


@dataclass(frozen=True, slots=True)
class Site:
    """Where things are, here and in the container.

    Attributes:
        pool: the node's; volume: the pod's, as its container sees it.
        group: of which the pod is.
    """

    pool: Path
    volume: Path
    group: str

    @property
    def tools(self) -> Path:
        return self.volume / "tools"

    @property
    def pool_there(self) -> Path:
        return self.volume / "pool"


def main(descriptor: str, pool: str, volume: str, group: str) -> None:
    """Serves the container whose mmsnap-init is at the other end of the descriptor, to its end."""
    log_to_stderr()
    line = socket.socket(fileno=int(descriptor))
    init_pid = peer_of(line).pid
    greeting = hear_greeting(line)
    site = Site(Path(pool), Path(volume), group)
    order = _order(init_pid, greeting, site)
    name = f"{group}.{greeting.member}"
    freezer = make_freezer_in_container(init_pid, name)
    enter_container(init_pid, {_PROC: _PROC, _CGROUPS: _CGROUPS, site.pool: site.pool_there})
    tempfile.tempdir = str(site.volume / "tmp")
    first = ContainerInit(line, init_pid, freezer, site.tools / "mmsnap-enter")
    criu = find_in(site.tools / "criu")
    lock = NetworkLock(criu, name)
    watch = _start_watchdog(line, freezer, lock)
    freezer.thaw()  # a predecessor may have ended in the middle of a cut
    lock.remove_leftover()
    captured = require_trees(order.captured)
    client = Client(order.address)
    admission = client.ask(calls.attach(order.application))
    place = Place(site.pool_there, group, greeting.member)
    tidy(place.folder, admission.committed_epochs)
    inodes = tuple(os.fstat(output).st_ino for output in greeting.outputs)
    engine = Engine(
        place, criu, freezer, lock, first, greeting.outputs, (inodes[0], inodes[1]), captured
    )
    engine.adopt(greeting.program, order.command)
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
    try:
        Shim(order, first, engine, client, admission, in_front=False).run()
    except AbortedError as error:
        log.error("%s", error)
        first.fail()
    engine.end()
    client.close()
    os.write(watch, b"x")


def _order(init_pid: int, greeting: Greeting, site: Site) -> Order:
    environment = _words_of(init_pid, "environ")
    settings = dict(word.partition("=")[::2] for word in environment)
    command = _words_of(init_pid, "cmdline")
    command = command[command.index("--") + 1 :] if "--" in command else command
    on_loss = settings.get("MMSNAP_ON_LOSS", "fresh")
    return Order(
        command=tuple(command),
        environment={},
        application=Application(
            group=site.group,
            member=greeting.member,
            size_bytes=None,
            on_loss=_on_loss(on_loss),
            engine="process",
        ),
        address=f"unix://{site.volume / 'agent.sock'}",
        profile=_profile(settings),
        captured=tuple(filter(None, settings.get("MMSNAP_FILES", "").split(":"))),
    )


def _on_loss(name: str) -> OnLoss:
    for known in get_args(OnLoss):
        if name == known:
            return known  # type: ignore[no-any-return]
    log.warning("MMSNAP_ON_LOSS is %r, which is none of %s: fresh", name, get_args(OnLoss))
    return "fresh"


def _profile(settings: Mapping[str, str]) -> Profile:
    name = settings.get("MMSNAP_PROFILE") or None
    if name is None:
        return NO_PROFILE
    try:
        if name not in _PROFILES:
            raise ValueError(f"a pod's profile is {' or '.join(_PROFILES)}, not {name}")
        return choose(name, settings.get("MMSNAP_PROFILE_OPTIONS", ""))
    except ValueError as error:
        raise MmsnapError(str(error), hint="correct the pod's annotation") from error


def _words_of(pid: int, what: str) -> list[str]:
    told = (_PROC / str(pid) / what).read_bytes()
    return [word.decode(errors="replace") for word in told.split(b"\0") if word]


def _start_watchdog(line: socket.socket, freezer: Freezer, lock: NetworkLock) -> int:
    """A process that lets the program run on when this one is killed; the end to say goodbye at."""
    heard, said = os.pipe()
    if os.fork() == 0:
        _watch(heard, said, line, freezer, lock)
    os.close(heard)
    return said


def _watch(
    heard: int, said: int, line: socket.socket, freezer: Freezer, lock: NetworkLock
) -> NoReturn:
    os.setsid()
    os.close(said)
    line.close()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        if not os.read(heard, 1):
            freezer.thaw()
            lock.remove_leftover()
    except Exception:
        log.exception("what a killed shim held may be still")
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
