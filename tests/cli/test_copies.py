"""Clones, archives, and what can happen to a file on its way."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyrage
import pytest

from tests.cli.conftest import MMSNAP, Run

# Says what its memory shows, takes two numbers more, and stays until its input ends.
MEMBER = """
import sys, numpy as np, mmsnap
with mmsnap.attach(size="8MiB") as app:
    cells = app.array("cells", (400_000,), np.int64)  # more than a message of gRPC takes
    print(cells.sum(), app.state.get("name"), flush=True)
    if sys.argv[1:]:
        with app.update():
            cells[:] = np.random.default_rng(int(sys.argv[1])).integers(0, 1 << 50, len(cells))
            app.state["name"] = f"made of {sys.argv[1]}"
        print(cells.sum(), app.state.get("name"), flush=True)
    sys.stdin.read()
"""

Say = Callable[..., str]


@pytest.fixture
def say(agent: str, environment: dict[str, str]) -> Iterator[Say]:
    """Starts members; returns the last of what each says before it waits."""
    running: list[subprocess.Popen[str]] = []

    def start(group: str, member: str, *words: str) -> str:
        options = ["--group", group, "--member", member]
        process = subprocess.Popen(
            [MMSNAP, "run", *options, "--", sys.executable, "-c", MEMBER, *words],
            env=environment | {"MMSNAP_ADDRESS": agent},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        return [process.stdout.readline().strip() for _ in range(2 if words else 1)][-1]

    yield start
    for process in running:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def here(mmsnap: Run, agent: str) -> Run:
    """Runs `mmsnap` on the service."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return mmsnap(*arguments, MMSNAP_ADDRESS=agent)

    return run


@pytest.fixture
def archive(here: Run, say: Say, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An archive of checkpoint c of a group of two; the group is named for the test."""
    group = f"g{abs(hash(request.node.name)) % 10**9}"
    for number, member in enumerate("ab"):
        say(group, member, str(number))
    assert here("checkpoint", "create", group, "--name", "c").returncode == 0
    file = tmp_path / "g.mmsnap"
    told = here("checkpoint", "export", group, "c", file)
    assert told.returncode == 0, told.stderr
    return file


def test_an_archive_is_private_and_makes_the_same_group_again(
    here: Run, say: Say, archive: Path
) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    told = here("checkpoint", "import", archive, "--as", "again")
    assert told.returncode == 0, told.stderr
    assert "again is at c @1" in told.stdout
    assert here("checkpoint", "verify", "again", "c").returncode == 0
    assert say("again", "a").endswith("made of 0")
    assert say("again", "b").endswith("made of 1")
    assert here("checkpoint", "create", "again", "--name", "d").returncode == 0
    assert here("restore", "again", "c").returncode == 0


def test_a_clone_goes_its_own_way(here: Run, say: Say) -> None:
    was = say("origin", "a", "7")
    assert here("checkpoint", "create", "origin", "--name", "c").returncode == 0
    assert "twin is at c @1" in here("clone", "origin", "c", "twin").stdout
    assert say("twin", "a") == was, "while the origin runs on"
    assert here("checkpoint", "create", "origin", "--name", "newer").returncode == 0
    assert here("checkpoint", "delete", "origin", "c", "--yes").returncode == 0
    assert here("checkpoint", "verify", "twin", "c").returncode == 0


def test_a_clone_forgets_or_mixes_up_whom_it_was_told_to_rename(here: Run, say: Say) -> None:
    first, second = say("pair", "a", "3"), say("pair", "b", "4")
    assert here("checkpoint", "create", "pair", "--name", "c").returncode == 0
    swapped = ("--member", "a=b", "--member", "b=c")
    assert here("clone", "pair", "c", "other", *swapped).returncode == 0
    assert here("checkpoint", "verify", "other", "c").returncode == 0
    shown = json.loads(here("checkpoint", "show", "other", "c", "-o", "json").stdout)
    assert sorted(member["member"] for member in shown["members"]) == ["b", "c"]
    assert (say("other", "b"), say("other", "c")) == (first, second)
    assert here("checkpoint", "verify", "pair", "c").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("a=b",), 2, "two members would be called b"),
        (("x=y",), 3, "has no member x"),
        (("a=../y",), 2, "no name of a member"),
        (("a",), 2, "is not OLD=NEW"),
        (("a=x", "a=y"), 2, "a has two new names"),
    ],
)
def test_a_wrong_renaming_leaves_something_in_the_way(
    here: Run, say: Say, words: tuple[str, ...], code: int, told: str
) -> None:
    group = f"twos-{len(told)}"
    for member in "ab":
        say(group, member)
    assert here("checkpoint", "create", group, "--name", "c").returncode == 0
    options = [word for each in words for word in ("--member", each)]
    failed = here("clone", group, "c", f"{group}-more", *options)
    assert (failed.returncode, told in " ".join(failed.stderr.split())) == (code, True), failed
    assert here("clone", group, "c", f"{group}-more").returncode == 0


def test_no_group_is_overwritten(here: Run, say: Say, archive: Path) -> None:
    say("taken", "a")
    told = here("checkpoint", "import", archive, "--as", "taken")
    assert (told.returncode, "there is a group taken already" in told.stderr) == (1, True)
    assert here("checkpoint", "import", archive, "--as", "../x").returncode == 2


def test_a_damaged_archive_leaves_nothing_behind(here: Run, archive: Path) -> None:
    rng = random.Random(4)
    whole = archive.read_bytes()
    for round_number in range(8):
        damaged = bytearray(whole)
        if round_number % 2:
            del damaged[rng.randrange(len(damaged)) :]
        else:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        archive.write_bytes(damaged)
        told = here("checkpoint", "import", archive, "--as", "damaged")
        assert (told.returncode, "archive" in told.stderr) == (5, True), told.stderr
        assert "damaged" not in here("usage", "-o", "json").stdout
    assert here("checkpoint", "list", "damaged").returncode == 3
    archive.write_bytes(whole)
    assert here("checkpoint", "import", archive, "--as", "damaged").returncode == 0


def test_what_is_no_archive_is_told(here: Run, tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    for content in (b"", b"Dear Sir", bytes(100_000)):
        file.write_bytes(content)
        told = here("checkpoint", "import", file)
        assert (told.returncode, "archive" in told.stderr) == (5, True), told.stderr
    assert here("checkpoint", "import", tmp_path / "absent").returncode == 1


def test_an_encrypted_archive_opens_with_its_key_only(
    here: Run, say: Say, archive: Path, tmp_path: Path
) -> None:
    assert here("checkpoint", "import", archive, "--as", "clear").returncode == 0
    key, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    for name, identity in (("key", key), ("other", other)):
        (tmp_path / name).write_text(f"# created by a test\n{identity}\n")
    secret = tmp_path / "secret.mmsnap"
    told = here("checkpoint", "export", "clear", "c", secret, "--encrypt-to", str(key.to_public()))
    assert told.returncode == 0, told.stderr
    assert secret.read_bytes().startswith(b"age-encryption.org/v1")
    told = here("checkpoint", "import", secret, "--as", "opened")
    assert (told.returncode, "encrypted" in told.stderr) == (2, True), told.stderr
    words = ["checkpoint", "import", secret, "--as", "opened", "--identity"]
    told = here(*words, tmp_path / "other")
    assert (told.returncode, "can not be decrypted" in told.stderr) == (1, True), told.stderr
    told = here(*words, tmp_path / "key")
    assert told.returncode == 0, told.stderr
    assert say("opened", "a").endswith("made of 0")
    secret.write_bytes(secret.read_bytes()[:-20])
    words[4] = "cut"
    told = here(*words, tmp_path / "key")
    assert (told.returncode, "can not be decrypted" in told.stderr) == (1, True), told.stderr
    assert here("checkpoint", "list", "cut").returncode == 3


def test_an_ssh_key_will_do(here: Run, archive: Path, tmp_path: Path) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"]
    subprocess.run(words, check=True)
    assert here("checkpoint", "import", archive, "--as", "plain").returncode == 0
    secret = tmp_path / "secret.mmsnap"
    words = ["checkpoint", "export", "plain", "c", secret, "--encrypt-to", tmp_path / "id.pub"]
    told = here(*words)
    assert told.returncode == 0, told.stderr
    told = here("checkpoint", "import", secret, "--as", "by-ssh", "--identity", tmp_path / "id")
    assert told.returncode == 0, told.stderr
    told = here("checkpoint", "export", "plain", "c", secret, "--encrypt-to", "age1nonsense")
    assert told.returncode == 2
