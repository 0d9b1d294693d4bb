"""Events: what happened to an object, for whoever looks at it; they pass after an hour."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from typing import Any, Final

from mmsnap_operator.cluster.api import Api, ApiError
from mmsnap_operator.names import OPERATOR

log = logging.getLogger(__name__)

_WORDS_MAX: Final = 1000


async def announce(
    api: Api, about: Mapping[str, Any], reason: str, message: str, *, warning: bool = False
) -> None:
    """Make one; that it can not be made stops nothing."""
    metadata = about["metadata"]
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "generateName": f"{metadata['name'][:200]}-",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "reason": reason,
        "message": message[:_WORDS_MAX],
        "type": "Warning" if warning else "Normal",
        "source": {"component": OPERATOR},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    try:
        await api.create(event)
    except ApiError as error:
        log.warning("the event could not be made: %s", error)
