"""Which group a schedule is of: also while its workload is not there, because it is made anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmsnap.pods.naming import group_of
from mmsnap_operator.cluster import Api
from mmsnap_operator.workloads.source import find_source


async def group_of_source(api: Api, namespace: str, source: Mapping[str, Any]) -> str:
    """Refused when labels select no pod, or those of several workloads."""
    if "selector" in source:
        return (await find_source(api, namespace, source)).group
    return group_of(namespace, source["name"])
