"""A tap on the line between a member and its service: packets pass, and faults are made at one.

The member (see bank_member.py) takes its line through the tap's socket. What passes is neither
changed nor delayed, until a trap is set: then the first packet of a kind waits until the trap's
function has returned. So a fault is made exactly in the phase that the packet begins or ends.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mmsnap.group.messages import Kind
from mmsnap.node.packets import SIZE_BYTES, unpack


class Tap:
    """Between members that connect to `path` and the service behind `behind`."""

    def __init__(self, path: Path, behind: Path) -> None:
        self.path = path
        self._behind = behind
        self._trap: tuple[Kind, Callable[[], None]] | None = None
        self._lock = threading.Lock()
        self.sprung = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(os.fspath(path))
        self._listener.listen(16)
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def trap(self, kind: Kind, function: Callable[[], None]) -> None:
        """Have `function` called when the next packet of this kind comes by."""
        with self._lock:
            self.sprung.clear()
            self._trap = kind, function

    def close(self) -> None:
        for each in (self._listener, *self._lines):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                member, _ = self._listener.accept()
            except OSError:
                return
            service = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                service.connect(os.fspath(self._behind))
            except OSError:
                member.close()
                service.close()
                continue
            self._lines += [member, service]
            for source, target in ((member, service), (service, member)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while packet := source.recv(SIZE_BYTES):
                self._look(Kind(unpack(packet).kind))
                target.send(packet)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _look(self, kind: Kind) -> None:
        with self._lock:
            if self._trap is None or self._trap[0] is not kind:
                return
            _, function = self._trap
            self._trap = None
        function()
        self.sprung.set()
