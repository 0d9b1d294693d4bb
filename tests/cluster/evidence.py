"""What is kept of a cluster that failed: the end of every log, and what Kubernetes says."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster

_TAIL_BYTES: Final = 400_000
_QUESTIONS: Final = {
    "objects": ("get", "all,pv,pvc,nodes", "-A", "-o", "wide"),
    "events": ("get", "events", "-A", "--sort-by=.lastTimestamp"),
    "nodes": ("describe", "nodes"),
}
# As klog, containerd and CoreDNS mark it.
_ERROR: Final = re.compile(r"^[EF]\d{4} |level=(error|fatal)|\[(ERROR|FATAL)\]|^panic|[Ee]rror:")


def gather(cluster: Cluster, folder: Path) -> None:
    """Leaves out what can not be had."""
    folder.mkdir(parents=True, exist_ok=True)
    for node in cluster.nodes:
        for log in (node.machine.folder / "birth.log", *node.machine.logs.rglob("*.log")):
            below = log.relative_to(node.machine.folder)
            place = folder / node.name / str(below).removeprefix("disk/var/log/")
            _copy_tail(log, place)
    for name, words in _QUESTIONS.items():
        _ask(cluster, folder / f"{name}.txt", *words)
    for namespace, pod in _unready_pods(cluster):
        _ask(
            cluster, folder / f"pod-{namespace}-{pod}.txt", "describe", "pod", "-n", namespace, pod
        )


def last_errors(folder: Path, count: int = 3) -> str:
    """The last error lines of every component."""
    found = []
    for log in sorted(folder.glob("node*/*.log")):
        lines = [
            line for line in log.read_text(errors="replace").splitlines() if _ERROR.search(line)
        ]
        found += [f"{log.parent.name}/{log.stem}: {line[:300]}" for line in lines[-count:]]
    return "\n".join(found)


def _copy_tail(log: Path, place: Path) -> None:
    try:
        with log.open("rb") as source:
            source.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            data = source.read()
    except OSError:  # a pod's log is a link into a folder that may be gone
        return
    if data:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _ask(cluster: Cluster, place: Path, *words: str) -> None:
    try:
        place.write_text(cluster.kubectl(*words, seconds=20))
    except (subprocess.SubprocessError, RuntimeError) as error:
        place.write_text(f"{error}\n{getattr(error, 'stderr', '')}\n")


def _unready_pods(cluster: Cluster) -> Iterator[tuple[str, str]]:
    try:
        pods = json.loads(cluster.kubectl("get", "pods", "-A", "-o", "json", seconds=20))["items"]
    except (subprocess.SubprocessError, RuntimeError):
        return
    for pod in pods:
        told = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
        if pod["status"].get("phase") != "Succeeded" and told.get("Ready") != "True":
            yield pod["metadata"]["namespace"], pod["metadata"]["name"]
