"""Errors of the agents as reasons of a condition: their class's name, without `Error`."""

from __future__ import annotations

from typing import Final

from mmsnap.errors import AbortedError, AgentUnavailableError, MmsnapError
from mmsnap_operator.workloads.refusals import Refused

AGENT_ERRORS: Final = (MmsnapError, ValueError, FileExistsError, TimeoutError, PermissionError)


def refusal_of(error: Exception) -> Refused:
    """Why a request can not be, or not yet."""
    if type(error) is TimeoutError:
        words = str(error) or "no answer came in time"
        return Refused("AgentUnavailable", words, lasting=False)
    reason = type(error).__name__.removesuffix("Error")
    lasting = not isinstance(error, AbortedError | AgentUnavailableError)
    return Refused(reason, str(error), lasting=lasting)
