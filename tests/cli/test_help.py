"""Help: there for every command, with an example, and at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

COMMANDS = ["agent", "run", "ps", "usage", "watch", "restore", "clone", "doctor", "demo"]
CHECKPOINT_COMMANDS = [
    *("create", "list", "show", "wait", "verify", "delete"),
    *("pin", "unpin", "prune", "export", "import"),
]


SCHEDULE_COMMANDS = ["set", "show", "off"]


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name in COMMANDS),
        *(["checkpoint", name] for name in CHECKPOINT_COMMANDS),
        *(["schedule", name] for name in SCHEDULE_COMMANDS),
    ],
    ids=" ".join,
)
def test_command_without_an_example(mmsnap: Run, command: list[str]) -> None:
    shown = mmsnap(*command, "--help")
    assert shown.returncode == 0
    examples = re.search(r"Examples?:\n((?:      .*\n)+)", shown.stdout)
    assert examples
    assert f"mmsnap {' '.join(command)}" in examples[1]


def test_command_that_help_does_not_list(mmsnap: Run) -> None:
    listed = re.findall(r"^  ([a-z]+)  ", mmsnap("--help").stdout, re.MULTILINE)
    assert set(listed) >= {*COMMANDS, "checkpoint", "schedule"}
    listed = re.findall(r"^  ([a-z]+)  ", mmsnap("checkpoint", "--help").stdout, re.MULTILINE)
    assert set(listed) == set(CHECKPOINT_COMMANDS)


def test_nothing_typed_is_a_usage_error_that_helps(mmsnap: Run) -> None:
    shown = mmsnap()
    assert shown.returncode == 2
    assert "Commands:" in shown.stdout + shown.stderr


def test_version(mmsnap: Run) -> None:
    assert re.fullmatch(r"mmsnap \d+\.\d+\.\d+\n", mmsnap("--version").stdout)


def test_help_that_loads_what_only_commands_need(environment: dict[str, str]) -> None:
    program = (
        "import sys, mmsnap.cli.application\n"
        "print(*{'asyncio', 'grpc', 'numpy', 'rich', 'sqlite3'} & set(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=os.sep,
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == []


def test_command_line_without_its_packages_says_what_to_install(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('gone', name='typer')")
    program = "from mmsnap.cli.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"PYTHONPATH": str(tmp_path)},
        cwd=os.sep,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "pip install 'mmsnap[node]'" in ended.stderr
    assert "Traceback" not in ended.stderr
