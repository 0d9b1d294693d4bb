"""How an installation is taken away, as it is printed in install.yaml and the chart's notes.

In this order: what is deleted waits for the operator, by finalizers, and the definitions wait for
what is deleted. Whoever deletes all at once takes away the operator that is waited for.
"""

from __future__ import annotations

from typing import Final

BEFORE: Final = (
    "kubectl delete memorymachines -A --all",
    "kubectl delete checkpointschedules,checkpointrequests,restorerequests,checkpoints -A --all",
)
_WORDS: Final = (
    "To uninstall, in this order (Checkpoints are lost by it; those whose bytes are to go from the",
    "nodes, too, delete before):",
)


def steps(last: str) -> list[str]:
    """Lines of text; `last`: what deletes the operator itself."""
    return [*_WORDS, *(f"  {command}" for command in (*BEFORE, last))]
