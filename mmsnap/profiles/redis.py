"""Redis: no save of its own is under way at the cut, and it answers after a restore."""

from __future__ import annotations

import socket
import time
from typing import Final

from mmsnap.errors import MmsnapError, QuiesceTimeoutError
from mmsnap.profiles.profile import Profile, Step

_STEP_SECONDS: Final = 0.05


class Server:
    """A Redis server, asked with inline commands."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = (host or "127.0.0.1", int(port))

    def require_no_save(self, timeout_seconds: float) -> None:
        """Waits until no child of its own is writing: it would be dumped too, for nothing."""
        deadline = time.monotonic() + timeout_seconds
        while "rdb_bgsave_in_progress:1" in self._ask("INFO persistence"):
            if time.monotonic() > deadline:
                raise QuiesceTimeoutError("a background save does not end", subject="redis")
            time.sleep(_STEP_SECONDS)

    def require_answer(self, timeout_seconds: float) -> None:
        """Waits until it answers PING."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                if self._ask("PING").startswith("+PONG"):
                    return
            except MmsnapError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_STEP_SECONDS)

    def _ask(self, command: str) -> str:
        try:
            with socket.create_connection(self._address, timeout=5) as line:
                line.sendall(f"{command}\r\nQUIT\r\n".encode())
                parts = []
                while chunk := line.recv(65536):
                    parts.append(chunk)
        except OSError as error:
            host, port = self._address
            raise MmsnapError(f"redis at {host}:{port} does not answer: {error}") from error
        return b"".join(parts).decode(errors="replace")


def redis(address: str = "127.0.0.1:6379") -> Profile:
    """The profile of one server."""
    server = Server(address)
    return Profile(
        "redis",
        [Step("no save", server.require_no_save)],
        [Step("answers", server.require_answer)],
    )
