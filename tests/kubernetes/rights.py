"""What the operator asked of the API server, beside what it may: from the cluster's audit log.

`python -m tests.kubernetes.rights CLUSTER` tells which rights nothing has used in the life of a
cluster; after the tests of all that the operator does, that is what it has too much.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mmsnap_operator.installation import rights
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import audit_log

_NAMESPACE: Final = "memverge"
_DECISION: Final = "authorization.k8s.io/decision"


@dataclass(frozen=True, order=True)
class Asked:
    """A verb on a kind of object; `namespace` empty: of the whole cluster, or in all of them."""

    group: str
    resource: str
    verb: str
    namespace: str = ""
    name: str = ""


def asked(cluster: Cluster, decision: str, since: str = "") -> set[Asked]:
    """What the operator was let do ("allow"), or not ("forbid"); `since` is a time in ISO 8601."""
    told: set[Asked] = set()
    log = audit_log(cluster.work / "keys")
    if not log.exists():  # nobody asked for anything yet
        return told
    for line in log.read_text().splitlines():
        event = json.loads(line)
        reference = event.get("objectRef")
        if event["requestReceivedTimestamp"] < since:
            continue
        if reference and event.get("annotations", {}).get(_DECISION) == decision:
            told.add(_asked(event["verb"], reference))
    return told


def unused(used: set[Asked]) -> list[Asked]:
    """Rights that nothing asked for, in the form of what would ask for them."""
    in_cluster = _granted(rights.cluster_role()["rules"], "")
    inside = _granted(rights.role(_NAMESPACE)["rules"], _NAMESPACE)
    return sorted(
        right for right in [*in_cluster, *inside] if not any(_covers(right, one) for one in used)
    )


def _covers(right: Asked, one: Asked) -> bool:
    same = (right.group, right.resource, right.verb) == (one.group, one.resource, one.verb)
    return same and right.namespace in ("", one.namespace) and right.name in ("", one.name)


def _granted(rules: list[dict[str, Any]], namespace: str) -> Iterator[Asked]:
    for rule in rules:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames", [""]):
                    yield Asked(rule["apiGroups"][0], resource, verb, namespace, name)


def _asked(verb: str, reference: dict[str, str]) -> Asked:
    resource, part = reference["resource"], reference.get("subresource")
    return Asked(
        reference.get("apiGroup", ""),
        f"{resource}/{part}" if part else resource,
        verb,
        reference.get("namespace", ""),
        reference.get("name", ""),
    )


if __name__ == "__main__":
    running = Cluster(sys.argv[1])
    for title, found in (
        ("refused", sorted(asked(running, "forbid"))),
        ("never used", unused(asked(running, "allow"))),
    ):
        print(f"{title}:")
        for each in found:
            print("  ", each.verb, f"{each.resource}.{each.group}", each.namespace, each.name)
