"""Three Hazelcast members under mmsnap on this machine: starting, killing and asking them.

Getting Hazelcast and Java is here too: the jar from Maven Central into mmsnap's cache, Java from
Debian if there is none.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mmsnap.process.installation import cache_folder

VERSION: Final = "5.5.0"
MEMBERS: Final = ("hz-0", "hz-1", "hz-2")
_JAR_URL: Final = (
    f"https://repo1.maven.org/maven2/com/hazelcast/hazelcast/{VERSION}/hazelcast-{VERSION}.jar"
)
_JAR_SHA256: Final = "cf560b40b988526e780e4fae12cb6fe01c5158bb9e00839882857f32b544a19e"
_FIRST_PORT: Final = 5701
_HERE: Final = Path(__file__).parent
_MMSNAP: Final = Path(sys.executable).with_name("mmsnap")
_CHANGE_SECONDS: Final = 90.0


def prepare() -> Path:
    """Java, CRIU and the jar, fetched unless they are there; returns the jar."""
    if shutil.which("java") is None:
        for words in (["update"], ["install", "-y", "default-jre-headless"]):
            subprocess.run(["apt-get", "-q", *words], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([_MMSNAP, "node", "prepare"], check=True, stdout=subprocess.DEVNULL)
    return fetch_jar()


def fetch_jar() -> Path:
    """Hazelcast's jar, fetched unless it is there."""
    jar = cache_folder() / f"hazelcast-{VERSION}.jar"
    if not jar.exists():
        jar.parent.mkdir(parents=True, exist_ok=True)
        partial = jar.with_suffix(".new")
        with urllib.request.urlopen(_JAR_URL, timeout=300) as reply, partial.open("wb") as file:
            shutil.copyfileobj(reply, file)
        if hashlib.sha256(partial.read_bytes()).hexdigest() != _JAR_SHA256:
            raise SystemExit(f"{_JAR_URL} is not what it should be")
        partial.rename(jar)
    return jar


class Cluster:
    """Members and their service, in a folder of its own. Ends what it started."""

    def __init__(self, folder: Path, jar: Path, heap: str, group_of: Callable[[str], str]) -> None:
        """`group_of` tells which group a member belongs to."""
        self._folder = folder
        self._jar = jar
        self._heap = heap
        self._group_of = group_of
        self._pool = folder / "pool"
        self._pool.mkdir(parents=True)
        self._environment = os.environ | {"MMSNAP_ADDRESS": f"unix://{folder}/agent.sock"}
        self._shims: dict[str, subprocess.Popen[bytes]] = {}
        self._agent = self._spawn("agent", "agent", "--pool", self._pool)
        _await(lambda: self.mmsnap("ps", check=False) is not None, "the service")

    @property
    def groups(self) -> list[str]:
        return sorted({self._group_of(member) for member in MEMBERS})

    def start(self) -> None:
        """Starts the members; if a restore is pending, they are restored instead."""
        for number, member in enumerate(MEMBERS):
            url = f"http://127.0.0.1:{_FIRST_PORT + number}"
            self._shims[member] = self._spawn(
                member,
                *("run", "--engine", "process"),
                *("--group", self._group_of(member), "--member", member),
                *("--profile", "hazelcast", "--profile-options", f"url={url} --nopause"),
                "--",
                *self._java(number),
            )

    def await_whole(self) -> None:
        """Returns when all members see a cluster of three that is safe."""
        _await(lambda: self.sizes() == [len(MEMBERS)] * len(MEMBERS), "a cluster of three, safe")

    def sizes(self) -> list[int]:
        """The size of the cluster as each member sees it; 0: it does not answer or is not safe."""
        return [_safe_size(_FIRST_PORT + number) for number in range(len(MEMBERS))]

    def kill(self) -> None:
        """SIGKILL to the Java processes; the shims end with them."""
        for member in MEMBERS:
            for pid in self._java_pids(member):
                os.kill(pid, signal.SIGKILL)
        for shim in self._shims.values():
            shim.wait(30)

    def mmsnap(self, *words: str, check: bool = True) -> str | None:
        """Types a command; its output, or None when it failed."""
        done = subprocess.run(
            [_MMSNAP, *words], env=self._environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise SystemExit(f"mmsnap {' '.join(words)}: {done.stderr}logs are in {self._folder}")
        return done.stdout if done.returncode == 0 else None

    def checkpoint(self, name: str) -> list[dict[str, Any]]:
        """One of each group, one after the other."""
        taken = []
        for group in self.groups:
            self.mmsnap("checkpoint", "create", group, "--name", name)
            shown = self.mmsnap("checkpoint", "show", group, name, "-o", "json")
            taken.append(json.loads(shown or "{}"))
        return taken

    def close(self) -> None:
        for process in (*self._shims.values(), self._agent):
            if process.poll() is None:
                process.terminate()
        for process in (*self._shims.values(), self._agent):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _java(self, number: int) -> list[str]:
        return [
            "java",
            *(f"-Xms{self._heap}", f"-Xmx{self._heap}", "-XX:+UseSerialGC"),
            "-XX:-UsePerfData",  # a file in /tmp that would change behind the checkpoint's back
            *("--add-modules", "java.se"),
            *("--add-opens", "java.base/java.lang=ALL-UNNAMED"),
            *("--add-opens", "java.base/sun.nio.ch=ALL-UNNAMED"),
            f"-Dhazelcast.config={_HERE / 'hazelcast.yaml'}",
            "-Dhazelcast.phone.home.enabled=false",
            f"-Dmember.port={_FIRST_PORT + number}",
            *("-cp", str(self._jar), "com.hazelcast.core.server.HazelcastMemberStarter"),
        ]

    def _java_pids(self, member: str) -> list[int]:
        """Java is the only child of the shim's first process."""
        shim = self._shims[member].pid
        return [pid for first in _children(shim) for pid in _children(first)]

    def _spawn(self, name: str, *words: str | Path) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [_MMSNAP, *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


@contextmanager
def cluster(
    folder: Path, jar: Path, heap: str, group_of: Callable[[str], str]
) -> Iterator[Cluster]:
    """A cluster of three, started and safe."""
    made = Cluster(folder, jar, heap, group_of)
    try:
        made.start()
        made.await_whole()
        yield made
    finally:
        made.close()


def _children(pid: int) -> list[int]:
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _safe_size(port: int) -> int:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/hazelcast/health", timeout=5
        ) as reply:
            health = json.load(reply)
    except (OSError, ValueError):
        return 0
    return int(health["clusterSize"]) if health.get("clusterSafe") else 0


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _CHANGE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.2)
