"""What can not work is said before anything stands still or is ended, and loses nothing."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from mmsnap.process.manifest import Part
from tests.ports import free_port
from tests.process.programs import COUNTER
from tests.process.site import MMSNAP, Shim, Site, await_true


def counter(here: Site, *options: str, program: str = COUNTER, mib: str = "4") -> Shim:
    shim = here.run("g", "a", sys.executable, "-c", program, mib, options=options)
    await_true(lambda: len(shim.lines) > 3, f"it counts: {shim.words}")
    return shim


def refused(here: Site, *words: str, code: int = 4) -> str:
    done = here.mmsnap(*words, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stderr


def counts_on(shim: Shim) -> None:
    ahead = int(shim.lines[-1])
    await_true(lambda: int(shim.lines[-1]) > ahead + 5, "it counts on")
    assert not shim.is_frozen()


def run_alone(here: Site, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MMSNAP, "run", "--engine", "process", "--", "true"],
        env=here.environment | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_without_criu_it_says_how_to_get_one(here: Site, tmp_path: Path) -> None:
    done = run_alone(here, MMSNAP_CACHE=str(tmp_path), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "there is no CRIU" in done.stderr
    assert "mmsnap node prepare" in done.stderr


def test_a_criu_that_is_too_old_is_refused(here: Site, tmp_path: Path) -> None:
    old = tmp_path / "criu"
    old.write_text("#!/bin/sh\necho Version: 3.17.1\n")
    old.chmod(0o755)
    nft = tmp_path / "nft"
    nft.write_text("#!/bin/sh\n")
    nft.chmod(0o755)
    done = run_alone(here, MMSNAP_CRIU=str(old), PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "CRIU 3.17.1 is too old" in done.stderr


def test_a_device_it_holds_is_named_and_it_is_never_frozen(here: Site) -> None:
    shim = counter(here, program="kept = open('/dev/kmsg')\n" + COUNTER)
    told = refused(here, "checkpoint", "create", "g")
    assert "member a at begin" in told
    assert "it holds the device /dev/kmsg" in told
    counts_on(shim)


def test_io_uring_is_refused_in_words_of_the_user(here: Site) -> None:
    ring = "import ctypes\nassert ctypes.CDLL(None).syscall(425, 4, bytes(256)) >= 0\n"
    shim = counter(here, program=ring + COUNTER)
    assert "it uses io_uring" in refused(here, "checkpoint", "create", "g")
    counts_on(shim)


def test_a_pause_that_would_be_too_long_is_refused_by_the_estimate(here: Site) -> None:
    shim = counter(here, mib="64")
    told = refused(here, "checkpoint", "create", "g", "--max-pause", "2ms")
    assert "member a at begin: its pause exceeded the budget" in told
    counts_on(shim)
    here.mmsnap("checkpoint", "create", "g", "--max-pause", "9s")


def test_a_dump_that_takes_too_long_is_stopped_and_the_program_runs_on(here: Site) -> None:
    shim = counter(here, mib="512")
    told = refused(here, "checkpoint", "create", "g", "--max-pause", "150ms")
    assert "member a at cut: its pause exceeded the budget" in told
    counts_on(shim)
    left = [path.name for path in (here.pool / "processes/g.a").iterdir()]
    assert not [name for name in left if name[0].isdecimal() or "reserve" in name], left
    here.checkpoint("g", "c")
    here.mmsnap("restore", "g", "c")
    counts_on(shim)


@pytest.fixture
def small(here: Site) -> Iterator[Path]:
    """The pool's part for programs on a medium of 32 MiB."""
    folder = here.pool / "processes"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_pool_that_is_too_small_is_found_before_the_freeze(here: Site, small: Path) -> None:
    shim = counter(here, mib="64")
    told = refused(here, "checkpoint", "create", "g", code=1)
    assert "found no room" in told
    counts_on(shim)


class TestRestore:
    """Asked before the program is ended: it runs on as it was."""

    def test_a_file_that_was_written_since(self, here: Site, tmp_path: Path) -> None:
        log = tmp_path / "log"
        opened = f"kept = open({str(log)!r}, 'a'); kept.write('x'); kept.flush()\n"
        shim = counter(here, program=opened + COUNTER)
        here.checkpoint("g", "c")
        here.mmsnap("restore", "g", "c", "--check")
        with log.open("a") as file:
            file.write("more")
        told = refused(here, "restore", "g", "c", "--check")
        assert f"{log} has 5 bytes and had 1 since" in told + shim.words
        pids = shim.pids()
        refused(here, "restore", "g", "c")
        assert shim.pids() == pids

    def test_an_executable_that_was_changed(self, here: Site) -> None:
        program = here.folder / "program"
        program.write_bytes(Path("/bin/sleep").read_bytes())
        program.chmod(0o755)
        shim = here.run("g", "a", str(program), "60")
        here.checkpoint("g", "c")
        program.rename(here.folder / "old")
        program.write_bytes(Path("/bin/cat").read_bytes())
        assert "member a at check" in refused(here, "restore", "g", "c")
        assert f"the program's file {program}" in shim.words
        assert shim.process.poll() is None

    def test_a_port_that_somebody_else_took(self, here: Site) -> None:
        port = free_port()
        listening = f"import socket; kept = socket.create_server(('127.0.0.1', {port}))\n"
        shim = counter(here, program=listening + COUNTER)
        here.checkpoint("g", "c")
        here.mmsnap("restore", "g", "c")
        counts_on(shim)
        shim.kill_program()
        here.mmsnap("restore", "g", "c")
        with socket.create_server(("127.0.0.1", port)):
            again = here.run("g", "a", sys.executable, "-c", COUNTER, "4")
            assert again.process.wait(20) == 4
        assert f"port {port} is taken by process {os.getpid()}" in again.words


def test_a_restore_that_fails_half_way_leaves_nothing_half_alive(here: Site) -> None:
    port = free_port()  # free for datagrams too, as nobody else gets one from there
    bound = (
        f"import socket; kept = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"kept.bind(('127.0.0.1', {port}))\n"
    )
    shims = [
        here.run("g", "a", sys.executable, "-c", COUNTER, "4"),
        here.run("g", "b", sys.executable, "-c", bound + COUNTER, "4"),
    ]
    await_true(lambda: all(len(shim.lines) > 3 for shim in shims), "they count")
    here.checkpoint("g", "c")
    for shim in shims:
        shim.kill_program()
    here.mmsnap("restore", "g", "c")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        shims = [here.run("g", member, "false") for member in ("a", "b")]
        for shim in shims:
            assert shim.process.wait(30) == 4, shim.words
            assert not shim.pids()
    log = (here.folder / "agent.log").read_text()
    assert "every program of the group was ended" in log
    assert "member b at restore" in log
    shims = [here.run("g", member, "false") for member in ("a", "b")]
    await_true(lambda: all(shim.lines for shim in shims), "a retry works")


def test_a_restore_on_another_processor_is_refused_before_anything_is_ended(here: Site) -> None:
    shim = counter(here)
    here.checkpoint("g", "c")
    part = Part(here.pool / "processes" / "g.a", 1)
    demand_every_feature(part.images / "cpuinfo.img")
    part.seal(replace(part.load(), checksums=part.measure()))
    told = refused(here, "restore", "g", "c")
    assert "this processor lacks what the program may use" in told
    counts_on(shim)


def demand_every_feature(image: Path) -> None:
    """As if the checkpoint came from a processor that has them all (cpuinfo.proto of CRIU)."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="cpuinfo.proto", syntax="proto2")
    one = file.message_type.add(name="One")
    one.field.add(name="capability", number=6, type=field.TYPE_UINT32, label=field.LABEL_REPEATED)
    info = file.message_type.add(name="Info")
    info.field.add(
        name="x86", number=1, type=field.TYPE_MESSAGE, label=field.LABEL_REPEATED, type_name="One"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    entry = message_factory.GetMessageClass(pool.FindMessageTypeByName("Info"))()
    data = image.read_bytes()
    entry.ParseFromString(data[12:])
    assert entry.x86[0].capability
    entry.x86[0].capability[:] = [0xFFFFFFFF] * len(entry.x86[0].capability)
    body = entry.SerializeToString()
    image.write_bytes(data[:8] + struct.pack("<I", len(body)) + body)
