"""What a check found wrong: a reason for machines, and words for whoever asked.

The same checks run when a request is admitted, where they refuse it or warn, and again when it is
carried out, where they fail it: between the two, anything may have changed. A check tells all that
it finds; `Refused` is for who can not go on at the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mmsnap_operator.workloads.refusals import Refused

_SHOWN_MAX: Final = 3


class Weight(Enum):
    """How much a finding counts."""

    WARNING = "warning"  # it can work all the same
    PASSING = "passing"  # it can not work now, and may later
    LASTING = "lasting"  # it can not work


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one check.

    Attributes:
        reason: one word, as conditions have.
        message: what is wrong, on what, and what to do about it.
    """

    reason: str
    message: str
    weight: Weight = Weight.LASTING

    @classmethod
    def of(cls, refused: Refused) -> Finding:
        """The same."""
        weight = Weight.LASTING if refused.lasting else Weight.PASSING
        return cls(refused.reason, refused.message, weight)

    @property
    def refuses(self) -> bool:
        """Whether it can not work as things are."""
        return self.weight is not Weight.WARNING


def require_none(findings: Iterable[Finding]) -> None:
    """Refused, for the first that refuses, if any does."""
    for finding in findings:
        if finding.refuses:
            lasting = finding.weight is Weight.LASTING
            raise Refused(finding.reason, finding.message, lasting=lasting)


def named(names: Iterable[str]) -> str:
    """Names in a sentence: the first few, and how many more there are."""
    every = list(names)
    shown = ", ".join(every[:_SHOWN_MAX])
    rest = len(every) - _SHOWN_MAX
    return f"{shown} and {rest} more" if rest > 0 else shown
