"""What was seen on the cluster, at about one time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """Objects as the API server told them.

    Attributes:
        nodes: with the label that asks for an agent.
        pull_secret_found: None: no secret is named.
        webhooks: configurations of this operator's webhooks.
    """

    nodes: Sequence[Manifest] = ()
    daemon_set: Manifest | None = None
    agents: Sequence[Manifest] = ()
    stateful_set: Manifest | None = None
    etcd_pods: Sequence[Manifest] = ()
    claims: Sequence[Manifest] = ()
    storage_classes: Sequence[Manifest] = ()
    pull_secret_found: bool | None = None
    webhooks: Sequence[Manifest] = ()
