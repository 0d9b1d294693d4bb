"""A person at a machine with kubectl and `kubectl mmsnap`, who may do what their name may."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from tests.cluster.cluster import Cluster

CHECKOUT = Path(__file__).parents[2]
_PROGRAMS = Path(sys.executable).parent


class User:
    """Without a name: the administrator. `folder` is for what a person has at home."""

    def __init__(self, cluster: Cluster, folder: Path, name: str = "") -> None:
        command = cluster.kubectl_command()
        own = [word for word in command if word.startswith("--cache-dir=")]
        kubeconfig = next(word for word in command if word.startswith("--kubeconfig="))
        program = [word for word in command if not word.startswith("--kubeconfig=")]
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        (folder / "kubectl").write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')
        (folder / "kubectl").chmod(0o755)
        known = yaml.safe_load(Path(kubeconfig.removeprefix("--kubeconfig=")).read_text())
        if name:
            for user in known["users"]:
                user["user"]["as"] = name
        (folder / "config").write_text(yaml.safe_dump(known))
        assert own, "kubectl would keep what it found out in the home of whoever runs the tests"

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self._folder}:{_PROGRAMS}:{os.environ['PATH']}"
        return os.environ | {"PATH": path, "KUBECONFIG": str(self._folder / "config")}

    def mmsnap(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`kubectl mmsnap …`, to its end."""
        return self._run(["kubectl", "mmsnap", *words])

    def starts(self, *words: str) -> subprocess.Popen[str]:
        """The same, while it runs."""
        return subprocess.Popen(
            ["kubectl", "mmsnap", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def types(self, script: str) -> subprocess.CompletedProcess[str]:
        """Lines of a shell in the checkout; the first that fails ends it."""
        return self._run(["bash", "-euo", "pipefail", "-c", script])

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env=self.environment,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
