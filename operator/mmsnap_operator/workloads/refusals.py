"""Why something that was asked for can not be: a reason for machines, and words for people."""

from __future__ import annotations

from collections.abc import Sequence


class Refused(Exception):
    """It can not be.

    Attributes:
        reason: in CamelCase, as conditions have it.
        message: what is wrong, with what, and what to do.
        lasting: waiting does not help.
        awaited: who is waited for.
    """

    def __init__(
        self, reason: str, message: str, *, lasting: bool = True, awaited: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.awaited = tuple(awaited)
        self.reason = reason
        self.message = message
        self.lasting = lasting
