"""`mmsnap agent`: what keeps it from starting is said, and its end leaves nothing in the way."""

from __future__ import annotations

import signal
import stat
import subprocess
from pathlib import Path

from tests.cli.conftest import MMSNAP, Run, memory_folder


def start(pool: Path, address: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    service = subprocess.Popen(
        [MMSNAP, "agent", "--pool", pool, "--address", address],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert service.stderr is not None
    assert "serving" in service.stderr.readline()
    return service


def end(service: subprocess.Popen[str], number: signal.Signals) -> int:
    service.send_signal(number)
    service.communicate(timeout=20)
    return service.returncode


class TestRefusals:
    def test_second_service_on_a_pool_names_the_first(
        self, mmsnap: Run, environment: dict[str, str]
    ) -> None:
        with memory_folder() as pool:
            first = start(pool, f"unix://{pool}/first.sock", environment)
            second = mmsnap("agent", "--pool", pool, "--address", f"unix://{pool}/second.sock")
            assert end(first, signal.SIGTERM) == 0
        assert second.returncode == 1
        assert f"process {first.pid}" in second.stderr
        assert "Traceback" not in second.stderr

    def test_second_service_at_an_address(self, mmsnap: Run, agent: str, tmp_path: Path) -> None:
        second = mmsnap("agent", "--pool", tmp_path, "--address", agent)
        assert second.returncode == 1
        assert "give another --address" in second.stderr
        assert mmsnap("ps", "--address", agent).returncode == 0

    def test_pool_that_is_not_there(self, mmsnap: Run, tmp_path: Path) -> None:
        ended = mmsnap("agent", "--pool", tmp_path / "nowhere")
        assert ended.returncode == 3
        assert str(tmp_path / "nowhere") in ended.stderr

    def test_pool_left_out(self, mmsnap: Run) -> None:
        ended = mmsnap("agent")
        assert ended.returncode == 2
        assert "--pool" in ended.stderr


class TestLife:
    def test_socket_is_for_its_owner_alone(self, agent: str) -> None:
        socket = Path(agent.removeprefix("unix://"))
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600

    def test_killed_service_is_started_again_on_the_same_pool_and_address(
        self, mmsnap: Run, environment: dict[str, str]
    ) -> None:
        with memory_folder() as pool:
            address = f"unix://{pool}/agent.sock"
            assert end(start(pool, address, environment), signal.SIGKILL) == -signal.SIGKILL
            assert mmsnap("ps", "--address", address).returncode == 6
            again = start(pool, address, environment)
            assert mmsnap("ps", "--address", address).returncode == 0
            assert end(again, signal.SIGINT) == 0
