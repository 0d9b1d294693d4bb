"""`mmsnap run`: the program gets its membership and its signals, and its end comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import MMSNAP, Run, Terminal

# Says which signals it gets; ends with 3 on SIGTERM.
LISTENING = """
import signal, sys
def tell(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM:
        sys.exit(3)
for name in ("SIGHUP", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGTERM"):
    signal.signal(getattr(signal, name), tell)
print("ready", flush=True)
while True:
    signal.pause()
"""


class TestMembership:
    def test_program_that_is_not_told_who_it_is(self, mmsnap: Run, agent: str) -> None:
        told = "echo $MMSNAP_ADDRESS $MMSNAP_GROUP $MMSNAP_MEMBER"
        of_group = ("--group", "shop", "--member", "a", "--address", agent)
        assert mmsnap("run", *of_group, "--", "sh", "-c", told).stdout == f"{agent} shop a\n"
        assert (
            mmsnap("run", "sh", "-c", told, MMSNAP_ADDRESS=agent).stdout == f"{agent} main main\n"
        )

    def test_program_that_changes_its_folder_finds_a_relative_address(
        self, mmsnap: Run, agent: str
    ) -> None:
        relative = os.path.relpath(agent.removeprefix("unix://"))
        told = mmsnap("run", "--address", relative, "sh", "-c", "cd /; echo $MMSNAP_ADDRESS")
        assert told.stdout == f"{agent}\n"

    def test_options_of_the_program_are_not_mmsnaps(self, mmsnap: Run, agent: str) -> None:
        echoed = mmsnap("run", "--address", agent, "echo", "--group", "--help", "--", "-o")
        assert echoed.stdout == "--group --help -- -o\n"


class TestEnds:
    @pytest.mark.parametrize(
        ("program", "code"),
        [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -SEGV $$", 139)],
    )
    def test_end_of_the_program_that_is_lost(
        self, mmsnap: Run, agent: str, program: str, code: int
    ) -> None:
        assert mmsnap("run", "--address", agent, "--", "sh", "-c", program).returncode == code

    def test_programs_that_can_not_be_started(
        self, mmsnap: Run, agent: str, tmp_path: Path
    ) -> None:
        for program, code in ((tmp_path / "nowhere", 127), ("/etc/passwd", 126)):
            ended = mmsnap("run", "--address", agent, "--", program)
            assert ended.returncode == code
            assert str(program) in ended.stderr
            assert "Traceback" not in ended.stderr


class TestSignals:
    def test_signals_reach_the_program(self, environment: dict[str, str], agent: str) -> None:
        running = subprocess.Popen(
            [MMSNAP, "run", "--address", agent, "--", sys.executable, "-c", LISTENING],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        for name in ("SIGUSR1", "SIGHUP", "SIGINT", "SIGUSR2", "SIGTERM"):
            running.send_signal(getattr(signal, name))
            assert running.stdout.readline() == f"got {name}\n"
        assert running.wait(timeout=20) == 3
        running.stdout.close()

    def test_ctrl_c_reaches_the_program_once(
        self, on_terminal: Callable[..., Terminal], agent: str
    ) -> None:
        terminal = on_terminal("run", "--address", agent, "--", sys.executable, "-c", LISTENING)
        terminal.read_until("ready")
        terminal.type("\x03")
        terminal.read_until("got SIGINT")
        terminal.signal(signal.SIGTERM)
        assert terminal.end() == 3
        assert terminal.shown.count("got SIGINT") == 1

    def test_signals_the_program_ignores_by_inheritance_stay_so(
        self, mmsnap: Run, agent: str
    ) -> None:
        """A pipe that breaks ends `yes` silently, as it does without mmsnap."""
        piped = f"'{MMSNAP}' run --address {agent} -- yes | head -1; echo ${{PIPESTATUS[0]}}"
        ended = subprocess.run(
            ["bash", "-c", piped], capture_output=True, text=True, check=True, timeout=60
        )
        assert ended.stdout == f"y\n{128 + signal.SIGPIPE}\n"


class TestRefusals:
    def test_no_service_is_said_before_the_program_starts(
        self, mmsnap: Run, tmp_path: Path
    ) -> None:
        started = tmp_path / "started"
        nobody = f"unix://{tmp_path}/agent.sock"
        ended = mmsnap("run", "--address", nobody, "--", "touch", started)
        assert ended.returncode == 6
        assert nobody in ended.stderr
        assert "mmsnap agent --pool" in ended.stderr
        assert not started.exists()

    def test_options_of_the_other_engine_and_unknown_ones_are_usage_errors(
        self, mmsnap: Run, agent: str
    ) -> None:
        for_programs = mmsnap("run", "--address", agent, "--files", "/tmp", "--", "true")
        assert for_programs.returncode == 2
        assert "--engine process" in for_programs.stderr
        assert mmsnap("run", "--engine", "magic", "--", "true").returncode == 2
        assert mmsnap("run").returncode == 2
