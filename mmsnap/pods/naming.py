"""What a group and a member are called on Kubernetes."""

from __future__ import annotations


def group_of(namespace: str, workload: str) -> str:
    """Temporary."""
    return f"{namespace}--{workload}"


def member_of(pod: str, container: str, first: bool) -> str:
    """Temporary."""
    return pod if first else f"{pod}--{container}"
