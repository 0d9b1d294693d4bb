"""`mmsnap agent`: what keeps it from starting is said, and its end leaves nothing in the way."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

from tests.cli.conftest import Run, Service, memory_folder


class TestRefusals:
    def test_second_service_on_a_pool_names_the_first(
        self, mmsnap: Run, environment: dict[str, str]
    ) -> None:
        with memory_folder() as pool:
            first = Service(pool, f"unix://{pool}/first.sock", environment)
            second = mmsnap("agent", "--pool", pool, "--address", f"unix://{pool}/second.sock")
            assert first.end() == 0
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
            killed = Service(pool, address, environment)
            assert killed.end(signal.SIGKILL) == -signal.SIGKILL
            assert mmsnap("ps", "--address", address).returncode == 6
            again = Service(pool, address, environment)
            assert mmsnap("ps", "--address", address).returncode == 0
            assert again.end(signal.SIGINT) == 0
