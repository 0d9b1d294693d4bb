"""CRIU as a command: which one, what it can do, and running it.

A CRIU that runs is never signalled: killed in the middle of a dump it would leave the network
locked and connections dying. A dump that must end is told so by its writes failing (see
image_stream), which lets CRIU put everything back itself.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from mmsnap.errors import MmsnapError, UnsupportedError
from mmsnap.process.installation import installed_root

OLDEST: Final = (4, 2)
ENVIRONMENT: Final = "MMSNAP_CRIU"
# What it says in vain: in containers it lacks what nobody needs.
_NO_REASON: Final = re.compile(r"RLIMIT_NOFILE|^tun: Unable to create|^cg: cgroupd: recv")
# CRIU's words for what it can not dump, and ours.
_REASONS: Final = (
    (r"io_uring", "it uses io_uring, which CRIU can not dump"),
    (
        r"Fail to make dir /tmp/",
        "it has no /tmp to write to, which CRIU needs; in a pod, mount an emptyDir there",
    ),
    (r"SysVIPC shmem map", "it uses System V shared memory, which is its whole pod's"),
    (
        r"Can't lookup mount=\d+ for fd=(\d+) path=(\S+)",
        "file descriptor {0} ({1}) was opened outside of its namespaces",
    ),
    (
        r"Can't dump file \d+ of that type \[\d+\] \((.*)\)",
        "it holds {0} open, which CRIU can not dump",
    ),
    (
        r"File (\S+) has bad size (\d+) \(expect (\d+)\)",
        "/{0} has {1} bytes and had {2} at the checkpoint",
    ),
    (r"Can't bind inet socket.*Address already in use", "one of its ports is in use"),
    (r"Can't fork for (\d+): File exists", "process id {0} is in use"),
    (r"File too large", "its writes were made to fail"),
    (r"No space left", "the pool has no room"),
)


class CriuError(MmsnapError):
    """CRIU failed; the message says why in words of the user, `log_file` has all of CRIU's."""

    def __init__(self, message: str, log_file: Path) -> None:
        super().__init__(message, subject=str(log_file), hint=f"all CRIU said is in {log_file}")
        self.log_file = log_file


@dataclass(frozen=True)
class Tool:
    """A program that is run through the loader it came with, or as it is (`loader` empty)."""

    program: Path
    loader: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        return [*self.loader, str(self.program)]


@dataclass(frozen=True)
class Criu:
    """A CRIU, and the nft that came with it."""

    criu: Tool
    nft: Tool

    @cached_property
    def version(self) -> tuple[int, ...]:
        """Like (4, 2, 1); empty when it does not run."""
        told = _output([*self.criu.command, "--version"])
        found = re.search(r"Version:\s*([\d.]+)", told)
        return tuple(int(part) for part in found[1].split(".") if part) if found else ()

    def check(self) -> str:
        """What it says the kernel lacks; needs root."""
        return _output([*self.criu.command, "check", "--all"]).strip()


def find() -> Criu:
    """The CRIU to use: $MMSNAP_CRIU, else the one that was fetched, else the system's.

    Raises:
        UnsupportedError: there is none, or it is too old for new kernels.
    """
    root = installed_root()
    named = os.environ.get(ENVIRONMENT)
    system = shutil.which("criu")
    if named:
        found = Criu(Tool(Path(named)), _system_nft())
    elif root.is_dir():
        found = find_in(root)
    elif system:
        found = Criu(Tool(Path(system)), _system_nft())
    else:
        raise UnsupportedError(
            "there is no CRIU on this machine", hint="`mmsnap node prepare` fetches one"
        )
    if found.version < OLDEST:
        told = ".".join(map(str, found.version)) or "that does not run"
        raise UnsupportedError(
            f"CRIU {told} is too old: new kernels need 4.2",
            subject=str(found.criu.program),
            hint="`mmsnap node prepare` fetches a newer one beside it",
        )
    return found


def find_in(root: Path) -> Criu:
    """The CRIU of a folder like the one that `install` fetches into."""
    return Criu(_within(root, "usr/sbin/criu"), _within(root, "usr/sbin/nft"))


class Running:
    """A CRIU at work. It ends by itself."""

    def __init__(
        self, command: Sequence[str], log_file: Path, what: str, pass_fds: Sequence[int] = ()
    ) -> None:
        self._log_file = log_file
        self._what = what
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=pass_fds,
        )

    def wait(self) -> None:
        """Returns when it succeeded; CriuError says why it did not."""
        if self._process.wait() < 0:
            raise CriuError(
                f"{self._what} failed: CRIU was killed: "
                "the program or its connections may be broken",
                self._log_file,
            )
        if self._process.returncode != 0:
            raise CriuError(f"{self._what} failed: {reason_in(self._log_file)}", self._log_file)


def reason_in(log_file: Path) -> str:
    """Why CRIU failed, by its log: in our words where we have some, else its first error."""
    try:
        text = log_file.read_text(errors="replace")
    except FileNotFoundError:
        return "CRIU did not start"
    for pattern, words in _REASONS:
        found = re.search(pattern, text)
        if found:
            return words.format(*found.groups())
    errors = re.findall(r"Error \([^)]*\): (.*)", text)
    told = [error for error in errors if not _NO_REASON.search(error)]
    return told[0] if told else "CRIU gave no reason"


def _within(root: Path, program: str) -> Tool:
    (libraries,) = root.glob("usr/lib/*-linux-gnu*")
    loader = next(path for path in sorted(libraries.glob("ld-linux*.so*")))
    return Tool(root / program, (str(loader), "--library-path", str(libraries)))


def _system_nft() -> Tool:
    nft = shutil.which("nft")
    if nft is None:
        raise UnsupportedError(
            "there is no nft on this machine, which keeps the network still during a cut",
            hint="install nftables, or let `mmsnap node prepare` fetch it",
        )
    return Tool(Path(nft))


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        return str(error)
    return done.stdout + done.stderr
