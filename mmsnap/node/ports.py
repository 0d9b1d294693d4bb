"""What a service says when it can not listen where it was told to: alike for every port.

The servers of calls, links and metrics are not here.
"""

from __future__ import annotations

import errno
import os
import socket

import grpc.aio

from mmsnap.errors import InUseError, MmsnapError, UnsupportedError
from mmsnap.node.link_door import host_of


def refusal(what: str, at: str, option: str, error: OSError) -> MmsnapError:
    """What to raise when something can not be served at HOST:PORT, which an option gave."""
    if error.errno == errno.EADDRINUSE:
        return InUseError(
            f"the port for {what}, {at}, is taken", subject=at, hint=f"give another {option}"
        )
    # What Python adds to a number's words names the place a second time.
    words = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
    return UnsupportedError(
        f"{what} can not be served at {at}: {words}",
        subject=at,
        hint=f"give {option} an address of this machine",
    )


def add_port(server: grpc.aio.Server, at: str, credentials: grpc.ServerCredentials) -> None:
    """Let calls come in at HOST:PORT; what `refusal` makes of it when they can not."""
    # gRPC says why in a log line of its own only; a socket says it in an errno.
    port = at.rpartition(":")[2]
    try:
        places = socket.getaddrinfo(host_of(at), int(port), type=socket.SOCK_STREAM)
        family, _, _, _, address = places[0]
        socket.create_server(address, family=family).close()
    except OSError as error:
        raise refusal("calls", at, "--listen", error) from error
    try:
        server.add_secure_port(at, credentials)
    except RuntimeError:  # somebody was quicker
        taken = OSError(errno.EADDRINUSE, "taken")
        raise refusal("calls", at, "--listen", taken) from None
