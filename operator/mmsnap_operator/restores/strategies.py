"""The three strategies by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mmsnap_operator.restores.clone import Clone
from mmsnap_operator.restores.in_place import InPlace
from mmsnap_operator.restores.recreate import Recreate
from mmsnap_operator.restores.strategy import Strategy

STRATEGIES: Final[Mapping[str, Callable[[], Strategy]]] = {
    "InPlace": InPlace,
    "Recreate": Recreate,
    "Clone": Clone,
}
