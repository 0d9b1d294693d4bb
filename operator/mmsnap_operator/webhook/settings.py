"""What the webhook is told by the MemoryMachines, and whether it was told yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mmsnap_operator.names import NODE_LABEL


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the MemoryMachine in force.

    Attributes:
        image: the product's, which has mmsnap-init.
        pod_prefixes: names of pods that are injected without asking begin like this.
        node_selector: labels of nodes with an agent; elsewhere a pod would wait for its volume.
    """

    image: str
    pod_prefixes: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=lambda: dict(NODE_LABEL))


@dataclass(slots=True)
class Current:
    """Handed to the webhook by the operator, which changes it when MemoryMachines change.

    Attributes:
        settings: None: there is no MemoryMachine.
        known: the operator has looked; until then, `settings` says nothing.
    """

    settings: Settings | None = None
    known: bool = False

    def tell(self, settings: Settings | None) -> None:
        """What is so from now on."""
        self.settings, self.known = settings, True
