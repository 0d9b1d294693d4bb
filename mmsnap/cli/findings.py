"""What `mmsnap doctor` finds, one thing at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a finding means for the user."""

    OK = "ok"
    SLOWER = "slower"
    ABSENT = "absent"  # something that not everybody needs
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: what was looked at.
        verdict: whether mmsnap works with it.
        found: what it is like here.
        advice: what to do; empty when there is nothing to do.
    """

    what: str
    verdict: Verdict
    found: str
    advice: str = ""
