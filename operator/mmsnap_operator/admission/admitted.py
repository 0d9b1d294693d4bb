"""Whether a request was looked at before it was taken.

The API server asks as long as mmsnap is installed (`registration`). What was made before, or where
an operator was taken away and its definitions stayed, nobody looked at, and nobody knows any more
who made it: it is not carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from mmsnap_operator.cluster import Api, kinds
from mmsnap_operator.names import WEBHOOK
from mmsnap_operator.requests.ending import instant
from mmsnap_operator.workloads.refusals import Refused

# API servers hear of a webhook a moment after it is made.
_MOMENT: Final = timedelta(seconds=5)


async def require_admitted(api: Api, request: Mapping[str, Any]) -> None:
    """Refused when nobody was asked about it; ApiError. One that has a status was looked at."""
    if (request.get("status") or {}).get("conditions"):
        return
    asks = await api.get(kinds.VALIDATION, WEBHOOK)
    made = instant(request["metadata"]["creationTimestamp"])
    if asks is None or made < instant(asks["metadata"]["creationTimestamp"]) + _MOMENT:
        raise Refused(
            "NotAdmitted",
            "it was made when mmsnap was not asked about requests yet, so nobody looked whether "
            "its author may have what it names: make it again",
        )
