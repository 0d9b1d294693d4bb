"""Help: there for every command, with an example, at once, and without what only nodes need."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.kubectl.conftest import COMPLETE, FakeKubectl

COMMANDS = [
    ["usage"],
    ["show-usage"],
    ["list"],
    ["restore"],
    ["describe"],
    ["wait"],
    *(["clustersnap", name] for name in ("create", "list", "restore", "delete")),
    *(["checkpoint", name] for name in ("create", "list", "delete", "pin", "unpin", "share")),
    *(["schedule", name] for name in ("set", "list", "suspend", "resume", "delete")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command_without_an_example(kubectl: FakeKubectl, command: list[str]) -> None:
    shown = kubectl.run(*command, "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"Usage: kubectl mmsnap {' '.join(command)} ")
    examples = re.search(r"Examples?:\n((?:      .*\n)+)", shown.stdout)
    assert examples
    assert f"kubectl mmsnap {' '.join(command)}" in examples[1]
    assert all(option in shown.stdout for option in ("--namespace", "--context", "--kubeconfig"))


def test_command_that_help_does_not_list(kubectl: FakeKubectl) -> None:
    shown = kubectl.run("--help").stdout
    assert "Exit codes: 0 done" in shown
    listed = re.findall(r"^  ([a-z][a-z-]+)  ", shown, re.MULTILINE)
    assert set(listed) == {command[0] for command in COMMANDS}


def test_help_that_loads_what_only_nodes_need() -> None:
    program = (
        "import sys, mmsnap_kubectl.application\n"
        "print(*{'asyncio', 'grpc', 'numpy', 'rich', 'sqlite3', 'kopf', 'aiohttp', 'cffi', 'yaml',"
        " 'cryptography', 'google.protobuf'} & set(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []


def test_command_line_without_kubectl_says_so(kubectl: FakeKubectl) -> None:
    (kubectl.folder / "kubectl").unlink()
    ended = kubectl.run("checkpoint", "list", path=str(kubectl.folder))
    assert ended.returncode == 1
    assert "kubectl is not found" in ended.stderr


def test_tab_offers_commands_options_and_names(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", "checkpoints.mm.memverge.com", says={"items": [
        {"metadata": {"name": name}} for name in ("hz-1", "hz-2", "web-1")
    ]})  # fmt: skip

    def offered(*words: str) -> list[str]:
        lines = kubectl.run(*words, program=COMPLETE).stdout.splitlines()
        assert lines[-1] == ":4"
        return [line.split("\t")[0] for line in lines[:-1]]

    assert offered("che") == ["checkpoint"]
    assert offered("checkpoint", "create", "--max") == ["--max-pause"]
    assert offered("checkpoint", "pin", "-n", "demo", "hz") == ["hz-1", "hz-2"]
    assert "--namespace=demo" in kubectl.asked[-1]
    assert offered("describe", "checkpoint/we") == ["checkpoint/web-1"]


def test_tab_shows_errors_to_nobody(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", stderr="Unable to connect to the server: EOF", code=1)
    told = kubectl.run("checkpoint", "pin", "", program=COMPLETE)
    assert told.stdout == ":4\n"
    assert told.stderr == ""
