"""The real `kubectl-mmsnap` behind a kubectl that notes what it is asked and says as told.

Only what kubectl is given is tested with it, and what is made of its answers: that the API server
understands is tested on one, in tests/kubernetes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

MMSNAP = Path(sys.executable).with_name("kubectl-mmsnap")
COMPLETE = Path(sys.executable).with_name("kubectl_complete-mmsnap")
_KUBECTL = """#!{python} -S
import json, pathlib, sys, time
folder = pathlib.Path({folder!r})
words = sys.argv[1:]
stdin = sys.stdin.read() if "-f" in words else ""
with open(folder / "asked", "a") as log:
    log.write(json.dumps({{"words": words, "stdin": stdin}}) + "\\n")
verb = next(word for word in words if not word.startswith("-"))
for number, answer in enumerate(json.loads((folder / "answers").read_text())):
    given = folder / f"given{{number}}"
    times = len(given.read_text()) if given.exists() else 0
    if answer["verb"] == verb and set(answer["with"]) <= set(words) and times < answer["times"]:
        given.write_text("x" * (times + 1))
        break
else:
    sys.exit(f"no answer to {{words}}")
if answer.get("echo"):
    made = json.loads(stdin)
    made["metadata"].setdefault("name", made["metadata"].get("generateName", "") + "x7f2q")
    made["metadata"] |= {{"namespace": "demo", "uid": "u"}}
    made["spec"].setdefault("timeoutSeconds", 60)
    sys.stdout.write(json.dumps(made))
for piece in answer.get("pieces", ()):
    sys.stdout.buffer.write(piece.encode("latin-1" if answer.get("raw") else "utf-8"))
    sys.stdout.buffer.flush()
    time.sleep(answer.get("pace", 0))
sys.stderr.write(answer.get("stderr", ""))
sys.exit(answer.get("code", 0))
"""


@dataclass
class FakeKubectl:
    """A folder with a `kubectl`."""

    folder: Path
    answers: list[dict[str, Any]]

    def answer(self, verb: str, *words: str, **answer: Any) -> None:
        """The first that fits is given: `says` as JSON, or `pieces`, `stderr` and `code`.

        With `times` so often, and then the next. With `raw` each character of the pieces is a byte.
        """
        if "says" in answer:
            answer["pieces"] = [json.dumps(answer.pop("says"))]
        self.answers.append({"verb": verb, "with": words, "times": 1 << 30, **answer})
        # By a rename: one that is running may be reading them.
        beside = self.folder / "answers.new"
        beside.write_text(json.dumps(self.answers))
        beside.rename(self.folder / "answers")

    @property
    def asked(self) -> list[list[str]]:
        return [entry["words"] for entry in self._entries()]

    @property
    def given(self) -> list[dict[str, Any]]:
        """The objects that it was given."""
        return [json.loads(entry["stdin"]) for entry in self._entries() if entry["stdin"]]

    def _entries(self) -> list[dict[str, Any]]:
        log = self.folder / "asked"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def run(
        self, *words: str, program: Path = MMSNAP, path: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *words],
            env=self._environment(path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def starts(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [MMSNAP, *words],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _environment(self, path: str = "") -> dict[str, str]:
        return os.environ | {"PATH": path or f"{self.folder}:/usr/bin:/bin", "TZ": "UTC"}


@pytest.fixture
def kubectl(tmp_path: Path) -> FakeKubectl:
    program = tmp_path / "kubectl"
    program.write_text(_KUBECTL.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    made = FakeKubectl(tmp_path, [])
    (tmp_path / "answers").write_text("[]")
    return made


def items(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(objects)}


def condition(kind: str, status: str, reason: str = "Why", message: str = "") -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-26T08:00:01Z",
    }


def request(name: str = "one", *conditions: dict[str, str], **status: Any) -> dict[str, Any]:
    """A CheckpointRequest as the API server tells it."""
    told = {"status": {"conditions": list(conditions), **status}} if conditions or status else {}
    return {
        "apiVersion": "mm.memverge.com/v1alpha1",
        "kind": "CheckpointRequest",
        "metadata": {
            "name": name,
            "namespace": "demo",
            "uid": "u",
            "creationTimestamp": "2026-11-26T08:00:00Z",
            "labels": {"memory-machine.memverge.com/clustersnap": name},
        },
        "spec": {"source": {"kind": "StatefulSet", "name": "hz"}, "timeoutSeconds": 60},
        **told,
    }


def checkpoint(name: str = "hz-1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "mm.memverge.com/v1alpha1",
        "kind": "Checkpoint",
        "metadata": {
            "name": name,
            "namespace": "demo",
            "uid": "c",
            "creationTimestamp": "2026-11-26T08:00:00Z",
        },
        "spec": {"group": "demo--hz", "epoch": 41, "deletionPolicy": "Retain", **spec},
        "status": {
            "consistency": "Application",
            "durability": "Replicated",
            "pauseMilliseconds": 530,
            "sizeBytes": 2147483648,
            "memberCount": 3,
            "conditions": [condition("Ready", "True", "Committed")],
            "members": [
                {"pod": "hz-0", "node": "n1", "pauseMilliseconds": 512, "bytes": 734003200}
            ],
        },
    }


def pairs(words: Sequence[str]) -> set[str]:
    """The words that are options."""
    return {word for word in words if word.startswith("--")}
