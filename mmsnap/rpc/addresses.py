"""Where the node service is found: its Unix socket, or from elsewhere over mutual TLS.

The members' socket stands beside the service's own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = "MMSNAP_ADDRESS"
TLS_ENVIRONMENT: Final = "MMSNAP_TLS"
_SCHEME: Final = "unix:"
_TLS_SCHEME: Final = "tls://"
# sockaddr_un.sun_path holds 108 bytes with its NUL.
_PATH_MAX_BYTES: Final = 107
_MEMBERS_SUFFIX: Final = ".members"


def default_address() -> str:
    """$MMSNAP_ADDRESS, else the socket in the machine's or the user's runtime folder."""
    return os.environ.get(ENVIRONMENT) or f"unix://{default_folder() / 'agent.sock'}"


def default_folder() -> Path:
    """/run/mmsnap for root, else $XDG_RUNTIME_DIR/mmsnap, else /tmp/mmsnap-UID."""
    if os.geteuid() == 0:
        return Path("/run/mmsnap")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "mmsnap"
    return Path(f"/tmp/mmsnap-{os.geteuid()}")


def socket_path(address: str) -> Path:
    """The absolute path in an address "unix:///path", "unix:path" or a bare path.

    Raises:
        ValueError: it is no Unix socket's address, or too long for one.
    """
    text = address.removeprefix(_SCHEME)
    if text.startswith("//"):
        text = text[2:]
    elif ":" in text and text == address:
        raise ValueError(f"{address!r} is not an address; write it like unix:///run/agent.sock")
    if not text:
        raise ValueError(f"the address {address!r} names no socket")
    path = Path(os.path.abspath(text))
    if len(os.fsencode(path)) + len(_MEMBERS_SUFFIX) > _PATH_MAX_BYTES:
        raise ValueError(f"the path of {address!r} is too long for a Unix socket")
    return path


def remote_target(address: str) -> str | None:
    """HOST:PORT of an address like tls://HOST:PORT; None for a Unix socket's.

    Raises:
        ValueError: it has no port.
    """
    if not address.startswith(_TLS_SCHEME):
        return None
    target = address.removeprefix(_TLS_SCHEME)
    host, _, port = target.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{address!r} is not an address; write it like tls://10.0.0.1:7443")
    return target


def tls_folder() -> Path:
    """$MMSNAP_TLS: the folder with ca.crt, tls.crt and tls.key of a client; ValueError."""
    named = os.environ.get(TLS_ENVIRONMENT)
    if not named:
        raise ValueError(f"an address of tls:// needs {TLS_ENVIRONMENT}, a folder of certificates")
    return Path(named)


def members_path(path: Path) -> Path:
    """The members' socket of the service at `path`."""
    return path.with_name(path.name + _MEMBERS_SUFFIX)
