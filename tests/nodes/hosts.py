"""Hosts on this machine: network namespaces with an address each, on one switch.

The switch is a bridge in a namespace of its own, so that this machine's own network is left as it
is: deleting the namespaces takes everything down. Only for root. What passes takes no time on
purpose; a slow wire is what `tests/process/network.py` has.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Final, TypeVar

_NEW_NET: Final = 0x40000000
_numbers = count()
_libc = ctypes.CDLL(None, use_errno=True)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Host:
    """A machine of its own, as far as the network goes; this one, when it has no namespace."""

    address: str = "127.0.0.1"
    namespace: str = ""

    @property
    def inside(self) -> tuple[str, ...]:
        """Words before a command that is to run there; its process is the one that was started."""
        return ("nsenter", f"--net={self.namespace}") if self.namespace else ()

    def enter(self) -> None:
        """Takes the calling thread there, and the threads that it makes from then on."""
        if not self.namespace:
            return
        handle = os.open(self.namespace, os.O_RDONLY)
        try:
            if _libc.setns(handle, _NEW_NET) != 0:
                raise OSError(ctypes.get_errno(), f"entering {self.namespace}")
        finally:
            os.close(handle)

    def cut_off(self) -> None:
        """Nothing reaches it any more or comes from it, as when its power fails."""
        assert self.namespace, "this machine stays where it is"
        subprocess.run([*self.inside, "ip", "link", "set", "eth0", "down"], check=True)

    def call(self, function: Callable[[], Result]) -> Result:
        """Calls a function there, on a thread of its own."""
        results: list[Result] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                self.enter()
                results.append(function())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]


THIS_ONE: Final = Host()


@contextmanager
def hosts(size: int) -> Iterator[list[Host]]:
    """So many hosts that reach each other."""
    with ExitStack() as made:
        switch = _namespace(made)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        yield [_host(made, switch, number) for number in range(1, size + 1)]


def _host(made: ExitStack, switch: str, number: int) -> Host:
    name, address = _namespace(made), f"10.0.0.{number}"
    port = f"port{number}"
    _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
    _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    return Host(address, f"/run/netns/{name}")


def _namespace(made: ExitStack) -> str:
    name = f"mmsnap-{os.getpid()}-{next(_numbers)}"
    _ip("netns", "add", name)
    made.callback(_ip, "netns", "delete", name)
    return name


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
