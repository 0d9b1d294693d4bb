"""An agent that only lets a program start; holding and restoring are tested with the real one."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path


class Agent:
    """Listens for mmsnap-init in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(str(folder / "init.sock"))
        self._socket.listen(16)
        self.environment = os.environ | {
            "MMSNAP_ENGINE": "process",
            "MMSNAP_ADDRESS": f"unix://{folder / 'agent.sock'}",
        }
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line:
            _, ends, _, _ = socket.recv_fds(line, 256, 2)
            for end in ends:
                os.close(end)
            line.send(b"start")
            while message := line.recv(256):
                if message.startswith(b"started "):
                    line.send(b"go")
