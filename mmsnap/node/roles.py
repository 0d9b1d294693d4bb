"""Who may ask what: roles, bound to the names in certificates.

Whoever comes through the Unix socket is this service's own user or root (the socket's mode says so)
and may do everything. Over TLS a certificate of the authority is not enough: its common name has to
be that of a node, which may take part in operations, or be given a role in a file:

    [roles]
    grafana = "view"
    nightly = "checkpoint"
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Collection, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Final

from mmsnap.errors import UnsupportedError

log = logging.getLogger(__name__)


class Role(IntEnum):
    """Each may do what those before it may."""

    NONE = 0
    VIEW = 1
    CHECKPOINT = 2
    RESTORE = 3
    ADMIN = 4


# An archive has the members' memory, and so their secrets.
NEEDED: Final[Mapping[str, Role]] = {
    "ListMembers": Role.VIEW,
    "ListCheckpoints": Role.VIEW,
    "ShowCheckpoint": Role.VIEW,
    "VerifyCheckpoint": Role.VIEW,
    "GetUsage": Role.VIEW,
    "Watch": Role.VIEW,
    "WaitCheckpoint": Role.VIEW,
    "ListNodes": Role.VIEW,
    "ListSchedules": Role.VIEW,
    "Checkpoint": Role.CHECKPOINT,
    "PinCheckpoint": Role.CHECKPOINT,
    "Restore": Role.RESTORE,
    "Clone": Role.RESTORE,
    "DeleteCheckpoint": Role.ADMIN,
    "Prune": Role.ADMIN,
    "SetSchedule": Role.ADMIN,  # it deletes by policy
    "RemoveSchedule": Role.ADMIN,
    "Detach": Role.ADMIN,
    "Export": Role.ADMIN,
    "Import": Role.ADMIN,
    "DeclareNodeDown": Role.ADMIN,
    "RemoveNode": Role.ADMIN,
}


class Roles:
    """The roles of a file, read again when it changes; without a file nobody has one."""

    def __init__(self, file: Path | None = None) -> None:
        """UnsupportedError when the file says what is no role."""
        self._file = file
        self._modified_ns = 0
        self._roles: dict[str, Role] = {}
        self._read()

    def of(self, name: str) -> Role:
        """The role of whom a certificate names."""
        try:
            self._read()
        except UnsupportedError as error:
            log.warning("%s: going on with the roles before", error)
        return self._roles.get(name, Role.NONE)

    def _read(self) -> None:
        if self._file is None:
            return
        try:
            modified_ns = self._file.stat().st_mtime_ns
            if modified_ns == self._modified_ns:
                return
            told = tomllib.loads(self._file.read_text())["roles"]
            self._roles = {name: Role[role.upper()] for name, role in told.items()}
        except (OSError, KeyError, AttributeError, tomllib.TOMLDecodeError) as error:
            raise UnsupportedError(
                f"the roles of {self._file} can not be read: {error!r}",
                subject=str(self._file),
                hint='lines under [roles] like name = "view"; or checkpoint, restore, admin',
            ) from error
        self._modified_ns = modified_ns


def require(method: str, peer: str, names: Collection[bytes], roles: Roles) -> None:
    """PermissionError unless the caller may use this method of the Agent.

    Args:
        peer: its address, as gRPC tells it.
        names: the common names of its certificate.
    """
    if peer.startswith("unix:"):
        return
    if method not in NEEDED:
        raise PermissionError(f"{method} is for members of this machine, through its Unix socket")
    name = next((name.decode(errors="replace") for name in names), "")
    if roles.of(name) < NEEDED[method]:
        raise PermissionError(
            f"{name or 'nobody'} may not {method}: it needs the role {NEEDED[method].name.lower()}"
        )


def require_node(peer: str, names: Collection[bytes], nodes: Collection[str]) -> str:
    """The name of the node that calls; PermissionError when it is none of the cluster."""
    name = next((name.decode(errors="replace") for name in names), "")
    if peer.startswith("unix:") or name not in nodes:
        raise PermissionError(f"{name or 'nobody'} is no node of this cluster")
    return name
