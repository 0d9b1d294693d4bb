"""Commands of a text, typed into one shell as they are printed, with a kubectl for the cluster."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.cluster import binaries
from tests.cluster.cluster import Cluster

_DONE: Final = "--- typed and done ---"


def blocks(text: Path, heading: str) -> list[str]:
    """What is to be typed under a heading of the second order."""
    section = text.read_text().split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [block.strip() for block in re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)]


class Shell:
    """One shell from the first block to the last. Made by `shell`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def type(self, block: str) -> str:
        """What it said, errors included; AssertionError when a command failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        said: list[str] = []
        try:
            self._process.stdin.write(f"{block}\necho '{_DONE}'\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            said.append("the shell has ended")
        for line in self._process.stdout:
            if line.strip() == _DONE:
                return "".join(said)
            said.append(line)
        raise AssertionError("".join(["a command failed:\n", *said]))


@contextmanager
def shell(cluster: Cluster, folder: Path, **environment: str) -> Iterator[Shell]:
    """A shell in a folder that ends with the first command that fails."""
    with tempfile.TemporaryDirectory() as programs:
        kubectl = Path(programs, "kubectl")
        kubectl.write_text(f'#!/bin/sh\nexec {shlex.join(cluster.kubectl_command())} "$@"\n')
        kubectl.chmod(0o755)
        process = subprocess.Popen(
            ["sh", "-eux"],
            cwd=folder,
            env=_environment(programs) | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Shell(process)
        finally:
            process.stdin.close()
            process.wait(60)
            process.stdout.close()


def _environment(programs: str) -> Mapping[str, str]:
    known = {**os.environ, **binaries.environment()}
    return known | {"PATH": f"{programs}:{known['PATH']}"}
