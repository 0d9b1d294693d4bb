"""Real servers that know nothing of mmsnap: how to start, write and read each.

`write` changes the state, `state` tells all of it; both from outside of the group. A server whose
state after a restore is not that at the cut has lost or invented something.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pwd import getpwnam
from typing import ClassVar

from mmsnap.process.privileges import can_reach_other_users
from tests.process.programs import WEB_SERVER
from tests.process.site import Shim, Site, await_true

_AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
_POSTGRES: Path | None = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), None)


class Server(ABC):
    """A server in the group `g` of a site."""

    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, here: Site, folder: Path, port: int) -> None:
        self.here = here
        self.folder = folder
        self.port = port
        self.shims: list[Shim] = []

    @abstractmethod
    def start(self) -> None:
        """Starts its members, and returns when they serve."""

    @abstractmethod
    def write(self, number: int) -> None:
        """Changes its state."""

    @abstractmethod
    def state(self) -> str:
        """All of its state."""

    def run(self, member: str, *command: str, options: tuple[str, ...] = ()) -> None:
        self.shims.append(self.here.run("g", member, *command, options=options))

    def await_answer(self) -> None:
        def answers() -> bool:
            try:
                self.state()
            except (subprocess.CalledProcessError, OSError):
                return False
            return True

        await_true(answers, f"{type(self).__name__} answers: {self.told()}")

    def told(self) -> str:
        return "\n".join(shim.words[-500:] for shim in self.shims)


class Redis(Server):
    """Memory only: nothing of it is on a disk."""

    packages = ("redis-server",)

    def start(self) -> None:
        folder = self.folder
        self.run(
            "redis", "redis-server", "--port", str(self.port), "--save", "", "--dir", str(folder),
            options=("--profile", "redis", "--profile-options", f"address=127.0.0.1:{self.port}"),
        )  # fmt: skip
        self.await_answer()

    def write(self, number: int) -> None:
        script = "for i=1,200 do redis.call('set','k'..(ARGV[1]*37+i)%1000,ARGV[1]..':'..i) end"
        self._cli("EVAL", script, "0", str(number))

    def state(self) -> str:
        script = (
            "local r={} for _,k in ipairs(redis.call('keys','*')) do "
            "r[#r+1]=k..'='..redis.call('get',k) end table.sort(r) return r"
        )
        return self._cli("EVAL", script, "0")

    def _cli(self, *words: str) -> str:
        return _output("redis-cli", "-p", str(self.port), *words)


class Postgres(Server):
    """With its backends, its files, and a client in the group whose connection must live on."""

    packages = ("postgresql",)

    def start(self) -> None:
        assert _POSTGRES is not None
        data = self.folder / "data"
        data.mkdir()
        shutil.chown(data, "postgres", "postgres")
        for folder in (self.folder, *self.folder.parents[:3]):
            folder.chmod(0o755)
        subprocess.run(
            [*_AS_POSTGRES, _POSTGRES / "initdb", "-D", data, "-A", "trust", "-N"],
            check=True,
            capture_output=True,
        )
        prefix = self._not_as_root()
        self.run(
            "postgres", *prefix, str(_POSTGRES / "postgres"), "-D", str(data),
            "-h", "127.0.0.1", "-k", "", "-p", str(self.port), "-c", "autovacuum=off",
            options=("--files", str(data)),
        )  # fmt: skip
        self.await_answer()
        self._psql("create table t (id serial primary key, words text)")
        talking = (
            "while :; do echo 'select count(*) from t;'; sleep 0.1; done | "
            f"psql -qtA -v ON_ERROR_STOP=1 -h 127.0.0.1 -p {self.port} -U postgres"
        )
        self.run("client", "sh", "-c", talking)
        await_true(lambda: len(self.shims[1].lines) > 2, "the client talks")

    def write(self, number: int) -> None:
        self._psql(
            f"insert into t (words) select 'w{number}-' || i from generate_series(1, 100) i; "
            f"update t set words = words || '+' where id % 7 = {number % 7}"
        )

    def state(self) -> str:
        return (
            self._psql("select id, words from t order by id")
            if self.shims[1:]
            else self._psql("select 1")
        )

    def _not_as_root(self) -> tuple[str, ...]:
        """PostgreSQL refuses to be root. Where root may not dump other users' processes, it is
        made to believe that it is somebody else."""
        if can_reach_other_users():
            return _AS_POSTGRES
        library = self.folder / "somebody.so"
        user = getpwnam("postgres").pw_uid
        source = f"int geteuid(void) {{ return {user}; }} int getuid(void) {{ return {user}; }}"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library],
            input=source,
            text=True,
            check=True,
        )
        return ("env", f"LD_PRELOAD={library}")

    def client_lives(self) -> bool:
        before = len(self.shims[1].lines)
        await_true(lambda: len(self.shims[1].lines) > before + 2, f"it talks on: {self.told()}")
        return self.shims[1].process.poll() is None

    def _psql(self, words: str) -> str:
        address = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")
        return _output("psql", "-qtA", "-v", "ON_ERROR_STOP=1", *address, "-c", words)


class Nginx(Server):
    """A master and its workers, with the pages they serve."""

    packages = ("nginx-light",)

    def start(self) -> None:
        (self.folder / "html").mkdir()
        (self.folder / "html/page").write_text("0")
        (self.folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 3; user root; pid {self.folder}/pid;\n"
            f"error_log {self.folder}/error.log;\n"
            "events { worker_connections 64; }\n"
            f"http {{ access_log {self.folder}/access.log; server {{ listen 127.0.0.1:{self.port}; "
            f"root {self.folder}/html; }} }}\n"
        )
        self.run(
            "nginx", "nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"),
            options=("--files", str(self.folder)),
        )  # fmt: skip
        self.await_answer()
        assert len(self.shims[0].pids()) == 4

    def write(self, number: int) -> None:
        (self.folder / "html/page").write_text(f"page {number}")

    def state(self) -> str:
        return _get(self.port, "/page")


class WebServer(Server):
    """A Python program that keeps a dictionary, with threads."""

    def start(self) -> None:
        self.run("web", sys.executable, "-c", WEB_SERVER, str(self.port))
        self.await_answer()

    def write(self, number: int) -> None:
        for key in range(20):
            _get(self.port, f"/set/{key}/{number * key}")

    def state(self) -> str:
        return json.dumps(json.loads(_get(self.port, "/all")), sort_keys=True)


class Pipeline(Server):
    """Three programs and two pipes; its state is where its sums are."""

    def start(self) -> None:
        self.run(
            "pipeline",
            "sh",
            "-c",
            "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done | "
            "(s=0; while read -r n; do s=$((s+n)); echo $n $s; done) | grep --line-buffered ' '",
        )
        self.await_answer()

    def write(self, number: int) -> None:
        """It writes by itself; wait until it has got on."""
        before = self._last()
        await_true(lambda: self._last() > before + 20, f"it gets on: {self.told()}")

    def state(self) -> str:
        """Every sum so far must be right, and no number left out or told twice after a restore."""
        previous = 0
        for line in self.shims[0].lines:
            number, total = map(int, line.split())
            assert total == number * (number + 1) // 2, line
            assert number <= previous + 1, f"{previous} is followed by {number}"
            previous = number
        if not previous:
            raise OSError("nothing yet")
        return "sums are right"

    def _last(self) -> int:
        return int(self.shims[0].lines[-1].split()[0])


SERVERS: tuple[type[Server], ...] = (Redis, Postgres, Nginx, WebServer, Pipeline)


@contextmanager
def started(kind: type[Server], here: Site, folder: Path, port: int) -> Iterator[Server]:
    server = kind(here, folder, port)
    server.start()
    yield server
    for shim in server.shims:
        if shim.process.poll() is None:
            shim.process.terminate()
    for shim in server.shims:
        try:
            shim.process.wait(10)
        except subprocess.TimeoutExpired:
            shim.process.kill()


def cycle(server: Server, number: int) -> None:
    """One checkpoint, writes after it, and a restore; the state must be that of the cut."""
    here = server.here
    server.write(2 * number)
    at_cut = server.state()
    here.mmsnap("checkpoint", "create", "g", "--name", f"c{number}")
    server.write(2 * number + 1)
    if not isinstance(server, Pipeline):
        assert server.state() != at_cut, "the writes after the checkpoint show"
    here.mmsnap("restore", "g", f"c{number}")
    server.await_answer()
    assert server.state() == at_cut
    assert all(shim.process.poll() is None for shim in server.shims), server.told()
    if isinstance(server, Postgres):
        assert server.client_lives()
    if number:
        here.mmsnap("checkpoint", "delete", "g", f"c{number - 1}", "--yes")


def _output(*command: str) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=30, cwd=os.sep
    ).stdout


def _get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
        told: bytes = reply.read()
    return told.decode()
