"""How long something is waited for: what ends an attempt, and what is worth another one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from mmsnap.errors import MmsnapError
from mmsnap_operator.cluster import ApiError
from mmsnap_operator.requests.failures import AGENT_ERRORS, refusal_of
from mmsnap_operator.workloads.refusals import Refused

Result = TypeVar("Result")

TROUBLE: Final = (*AGENT_ERRORS, ApiError, Refused)
# Not there yet, changed meanwhile, too many requests at once.
_PASSING: Final = (404, 409, 429)


class BrokenOff(Exception):
    """Something was not waited for any longer. What an agent had begun, it brings to its end."""


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, Result], seconds: float) -> Result:
    """What comes of it; BrokenOff, when `stop` is set first, or when it takes longer."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        waited_for = (working, stopping)
        await asyncio.wait(waited_for, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise BrokenOff
        return working.result()
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


def refusal(error: Exception) -> Refused:
    """One of TROUBLE as a refusal: lasting, where another attempt would end alike."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, ApiError):
        passes = error.status in _PASSING or error.is_about_roles
        lasting = 400 <= error.status < 500 and not passes
        return Refused("ApiServer", f"the API server: {error}", lasting=lasting)
    if isinstance(error, TimeoutError) and not isinstance(error, MmsnapError):
        return Refused("ApiServer", "the API server does not answer", lasting=False)
    return refusal_of(error)
