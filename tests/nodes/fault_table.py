"""Writes docs/FAULTS.md: what comes of a fault in every phase, made to every role, in both ways.

Usage: python -m tests.nodes.fault_table [FILE]

Takes about ten minutes. It ends with an error, and writes nothing, when anything is lost, torn or
left standing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.nodes.faults import PHASES, ROLES, WAYS, Outcome, theatre

TARGET = Path(__file__).parents[2] / "docs" / "FAULTS.md"

HEAD = """# What comes of a fault

Made by `make faults`: three nodes with mutual TLS and three members of etcd, all real; a bank of
four on two of the nodes (the one that is asked, *coordinator*, and a *participant*), and the third
keeps copies (*replica*). The fault is made exactly when the packet of a phase passes on the line of
one member. After each: every member runs, every checkpoint in the catalog is read back whole and of
one instant, and the next one is taken and replicated. *Committed* and *aborted* is what whoever
asked was told; *no answer* means that the call broke off, and in brackets what the catalog has. The
time is the longest in which any member could do nothing.
"""

WORDS = {
    "killed": "## Killed (SIGKILL), and started again",
    "stopped": "## Stopped (SIGSTOP) for four seconds, twice as long as a lease",
}


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    sections = [HEAD]
    with theatre() as stage:
        for way in WAYS:
            rows = [f"| {' | '.join(('phase', *ROLES))} |", "| --- " * (1 + len(ROLES)) + "|"]
            for phase in PHASES:
                cells = []
                for role in ROLES:
                    outcome = stage.run(phase, role, way)
                    print(f"{way}: {phase}, {role}: {outcome}", flush=True)
                    require_honest(outcome)
                    cells.append(words_of(outcome))
                rows.append(f"| {phase} | {' | '.join(cells)} |")
            sections += [WORDS[way], "\n".join(rows)]
    target.write_text("\n\n".join(section.strip() for section in sections) + "\n")


def require_honest(outcome: Outcome) -> None:
    """AssertionError when what was told is not what happened."""
    assert outcome.told != "committed" or outcome.happened, "what was said to be is not there"
    assert outcome.told != "aborted" or not outcome.happened, "what was said to be aborted is there"


def words_of(outcome: Outcome) -> str:
    told = outcome.told
    if told == "no answer":
        told += " (committed)" if outcome.happened else " (aborted)"
    return f"{told}, {outcome.gap_seconds:.2f} s"


if __name__ == "__main__":
    main()
