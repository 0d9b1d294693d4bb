"""Whoever calls the service: what it may do, and how this machine looks from where it is.

Programs of this machine and clients with certificates see the pool as it is. Whoever stands behind
another door (a pod) may do less, sees other paths, and counts its processes otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import grpc

from mmsnap.catalog import EngineKind
from mmsnap.node.live_group import LiveGroup
from mmsnap.node.roles import Roles, require

Context = grpc.aio.ServicerContext[Any, Any]


class Callers(Protocol):
    """Those who come through one door."""

    def require(self, method: str, request: Any, context: Context) -> None:
        """PermissionError when the caller may not ask this."""

    async def process_of(self, member: str, engine: EngineKind, pid: int) -> int:
        """The number here of what calls itself process `pid`; PermissionError: it is not theirs."""

    async def make_way(self, group: LiveGroup, member: str, engine: EngineKind) -> None:
        """Somebody is about to attach: who only holds the place for it leaves."""

    async def admit(self, region: str) -> tuple[str, str]:
        """Lets a member at its region; returns its pool and members' socket, as it sees them."""


class MachineCallers:
    """Those of this machine, through the service's own socket, and those with certificates."""

    def __init__(self, roles: Roles, pool: Path, members_socket: Path) -> None:
        self._roles = roles
        self._seen = str(pool), str(members_socket)

    def require(self, method: str, request: Any, context: Context) -> None:
        require(method, context.peer(), names_of(context), self._roles)

    async def process_of(self, member: str, engine: EngineKind, pid: int) -> int:
        return pid

    async def make_way(self, group: LiveGroup, member: str, engine: EngineKind) -> None:
        """Here everybody comes for itself."""

    async def admit(self, region: str) -> tuple[str, str]:
        return self._seen


def names_of(context: Context) -> list[bytes]:
    """The common names of the caller's certificate; none through a Unix socket."""
    return list(context.auth_context().get("x509_common_name", ()))
