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
_PLACES = {"KUBECONFIG": "config", "KUBECACHEDIR": "cache"}


class User:
    """Without a name: the administrator. `folder` is for what a person has at home."""

    def __init__(self, cluster: Cluster, folder: Path, name: str = "") -> None:
        command = cluster.kubectl_command()
        kubeconfig = next(word for word in command if word.startswith("--kubeconfig="))
        # kubectl takes no options of its own in front of a plugin's name.
        program = [word for word in command if not word.startswith("--")]
        program[1:1] = [word for word in command if word.startswith("--net=")]
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []
        (folder / "kubectl").write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n')
        (folder / "kubectl").chmod(0o755)
        known = yaml.safe_load(Path(kubeconfig.removeprefix("--kubeconfig=")).read_text())
        if name:
            for user in known["users"]:
                user["user"]["as"] = name
        (folder / "config").write_text(yaml.safe_dump(known))

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self._folder}:{_PROGRAMS}:{os.environ['PATH']}"
        home = {name: str(self._folder / place) for name, place in _PLACES.items()}
        return os.environ | home | {"PATH": path}

    def mmsnap(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`kubectl mmsnap …`, to its end."""
        return self._run(["kubectl", "mmsnap", *words])

    def starts(self, *words: str) -> subprocess.Popen[str]:
        """The same, while it runs; `leave` ends it."""
        running = subprocess.Popen(
            ["kubectl", "mmsnap", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(running)
        return running

    def leave(self) -> None:
        """Nothing that was started goes on."""
        for running in self._started:
            running.kill()
            running.communicate()

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
