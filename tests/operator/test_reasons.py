"""The fear: that a request fails with a reason of which no text says what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
OPERATOR = CHECKOUT / "operator/mmsnap_operator"
TELLING = ("Refused", "Finding")


def reasons() -> Iterator[str]:
    """Of all that can stand against a request, as the source has them."""
    for file in sorted(OPERATOR.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            first = node.args[0]
            if name in TELLING and isinstance(first, ast.Constant):
                yield str(first.value)


def test_every_reason_is_in_the_table() -> None:
    text = (CHECKOUT / "docs/WORKLOADS.md").read_text()
    table = text.split("## Reasons of failure\n", 1)[1].split("\n## ", 1)[0]
    told = {
        reason
        for line in table.splitlines()
        if line.startswith("| `")
        for reason in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    found = set(reasons())
    assert {"WorkloadNotFound", "NoAgent", "GroupTaken"} <= found
    assert not found - told
