"""What a strategy is: checks that touch nothing, then steps, each of which may be done again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mmsnap_operator.requests.site import Site
from mmsnap_operator.restores.moving import Move
from mmsnap_operator.restores.origin import Origin
from mmsnap_sdk.service_records import GroupCheckpoint

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A restore that is to be.

    Attributes:
        taken: the checkpoint as the catalog has it.
        group: that is restored; of a clone, the new one.
        before: what moved its head before the request began.
    """

    request: Manifest
    origin: Origin
    taken: GroupCheckpoint
    group: str
    before: int

    @property
    def namespace(self) -> str:
        return str(self.request["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        return str(self.request["metadata"]["uid"])

    @property
    def members(self) -> tuple[str, ...]:
        """Of the checkpoint, by their names there."""
        return tuple(part.member for part in self.taken.members)

    @property
    def move(self) -> Move:
        """The restore of the checkpoint's own group."""
        return Move(self.origin.group, self.origin.epoch, self.before)


@dataclass(frozen=True, slots=True)
class Step:
    """`do` raises Refused for the time being until it is done."""

    name: str
    about: str
    do: Callable[[Site, Plan], Awaitable[None]]


class Strategy(Protocol):
    """How a group is brought back."""

    @property
    def steps(self) -> Sequence[Step]:
        """In their order; after a restart it goes on with the one that had begun."""

    async def check(self, site: Site, plan: Plan) -> None:
        """Refused, when it can not be."""

    async def notes(self, site: Site, plan: Plan) -> Mapping[str, Any]:
        """What the request's status has to say before anything is touched."""

    async def give_up(self, site: Site, request: Manifest) -> None:
        """It can not be any more: leave nothing half-way, by what the status says; ApiError."""
