"""The refusal when a service can not listen where it was told to, worded alike for every port.

It listens nowhere: calls, links and metrics have a server each.
"""

from __future__ import annotations

import errno
import os
import socket

import grpc.aio

from mmsnap.errors import InUseError, MmsnapError, UnsupportedError


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


def add_port(
    server: grpc.aio.Server, at: str, credentials: grpc.ServerCredentials, option: str
) -> None:
    """Let calls come in at HOST:PORT; what `refusal` makes of it when they can not."""
    # gRPC says why in a log line of its own only; a socket says it in an errno.
    host, _, port = at.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        socket.create_server(address, family=family).close()
    except OSError as error:
        raise refusal("calls", at, option, error) from error
    try:
        server.add_secure_port(at, credentials)
    except RuntimeError:  # somebody was quicker
        taken = OSError(errno.EADDRINUSE, "taken")
        raise refusal("calls", at, option, taken) from None
