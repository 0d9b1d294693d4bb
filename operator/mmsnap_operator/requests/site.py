"""What every request needs to be carried out."""

from __future__ import annotations

from dataclasses import dataclass

from mmsnap_operator.cluster import Api
from mmsnap_operator.requests.turns import Turns
from mmsnap_operator.service import Agents


@dataclass(frozen=True, slots=True)
class Site:
    """Of one operator."""

    api: Api
    agents: Agents
    turns: Turns
