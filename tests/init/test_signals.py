"""What is sent to mmsnap-init must reach the program, once, from the first instruction on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.init.conftest import LIMIT_SECONDS, Start, end, wait_for_line

# Says each signal that comes, with the value that was sent along; ends at the second SIGTERM.
_LISTENER = """
import signal, sys
numbers = set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("up", flush=True)
while True:
    got = signal.sigwaitinfo(numbers)
    print(got.si_signo, flush=True)
"""
# The C library's own two signals are not in the numbers of Python: blocked by the kernel's call,
# which also holds what whoever started the tests has ignored.
_HOLDER = """
import ctypes, os, time
call = {"x86_64": 14, "aarch64": 135}[os.uname().machine]
held = ctypes.c_uint64(3 << 31)
assert ctypes.CDLL(None).syscall(call, 0, ctypes.byref(held), None, 8) == 0
print("up", flush=True)
time.sleep(60)
"""
_PASSED = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT})


def test_every_signal_that_can_be_passed_is(start: Start) -> None:
    process = start("python3", "-c", _LISTENER)
    assert wait_for_line(process) == "up"
    for number in (*_PASSED, signal.SIGCONT):
        process.send_signal(number)
        assert wait_for_line(process) == str(int(number))


@pytest.mark.parametrize("number", [32, 33])
def test_the_signals_that_the_c_library_keeps_for_itself_are_passed_too(
    start: Start, number: int
) -> None:
    pass_to_holder(start("python3", "-c", _HOLDER), number)


@pytest.mark.parametrize("number", [32, 33])
def test_they_are_beside_the_threads_that_carry_outputs_too(
    start: Start, owned: dict[str, str], number: int
) -> None:
    pass_to_holder(start("python3", "-c", _HOLDER, env=owned), number)


def pass_to_holder(process: subprocess.Popen[bytes], number: int) -> None:
    assert wait_for_line(process) == "up"
    (program,) = children(process.pid)
    assert number not in pending(program)
    process.send_signal(number)
    deadline = time.monotonic() + LIMIT_SECONDS
    while number not in pending(program):
        assert time.monotonic() < deadline, "it was not passed"
        time.sleep(0.01)
    assert process.poll() is None


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def pending(pid: int) -> set[int]:
    """The signals that it was sent and has not taken."""
    status = Path(f"/proc/{pid}/status").read_text()
    (word,) = (line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd:"))
    return {number for number in range(1, 65) if int(word, 16) >> (number - 1) & 1}


def test_as_number_one_too(as_number_one: list[str]) -> None:
    words = [*as_number_one, "python3", "-c", _LISTENER]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert wait_for_line(process) == "up"
        (ours,) = children(process.pid)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGWINCH, signal.SIGCHLD):
            os.kill(ours, number)
            assert wait_for_line(process) == str(int(number))
        process.kill()


def test_a_burst_of_queued_signals_keeps_its_count(start: Start) -> None:
    process = start("python3", "-c", _LISTENER)
    assert wait_for_line(process) == "up"
    for _ in range(200):
        process.send_signal(signal.SIGRTMIN + 3)
    heard = [wait_for_line(process) for _ in range(200)]
    assert heard == [str(int(signal.SIGRTMIN + 3))] * 200


@pytest.mark.parametrize("delay_us", [0, 50, 100, 200, 400, 800, 1600])
def test_a_signal_while_starting_is_not_swallowed(start: Start, delay_us: int) -> None:
    for _ in range(10):
        process = start("sleep", "60")
        time.sleep(delay_us / 1e6)
        assert end(process) in (128 + signal.SIGTERM, -signal.SIGTERM)


def test_somebody_elses_sigchld_does_not_hide_the_end_of_the_program(start: Start) -> None:
    for _ in range(5):
        process, deadline = start("sleep", "0.1"), time.monotonic() + LIMIT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGCHLD)
        assert process.returncode == 0


def test_what_the_program_ignores_it_goes_on_ignoring(start: Start) -> None:
    process = start("sh", "-c", "trap '' TERM; echo up; read line", stdin=subprocess.PIPE)
    assert wait_for_line(process) == "up"
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert process.poll() is None
    assert process.stdin is not None
    process.stdin.close()
    process.wait(LIMIT_SECONDS)


def test_ignored_children_of_the_parent_do_not_cost_the_exit_code(
    run: Callable[..., subprocess.CompletedProcess[bytes]],
) -> None:
    done = run(
        "sh", "-c", "exit 9", preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    )
    assert done.returncode == 9


def test_an_alarm_that_was_set_before_still_rings(
    run: Callable[..., subprocess.CompletedProcess[bytes]],
) -> None:
    done = run("sleep", "20", preexec_fn=lambda: signal.setitimer(signal.ITIMER_REAL, 0.2))
    assert done.returncode == 128 + signal.SIGALRM


def test_a_stopped_program_neither_ends_nor_keeps_it_from_its_signals(start: Start) -> None:
    process = start("sh", "-c", "echo $$; exec sleep 60")
    program = int(wait_for_line(process))
    os.kill(program, signal.SIGSTOP)
    time.sleep(0.1)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    assert process.wait(LIMIT_SECONDS) == 128 + signal.SIGTERM


def test_whoever_wakes_a_stopped_program_need_not_wake_its_parent(start: Start) -> None:
    process = start("sh", "-c", "echo $$; exec sleep 60")
    program = int(wait_for_line(process))
    os.kill(program, signal.SIGSTOP)
    time.sleep(0.2)
    os.kill(program, signal.SIGCONT)
    os.kill(program, signal.SIGTERM)
    assert process.wait(LIMIT_SECONDS) == 128 + signal.SIGTERM


def test_a_program_that_signals_its_group_hears_it_once(start: Start) -> None:
    script = "import os, signal; print('up', flush=True); " + (
        "signal.signal(signal.SIGUSR1, lambda *_: print('heard', flush=True)); os.kill(0, 10); "
        "import time; time.sleep(0.3); print('end', flush=True)"
    )
    process = start("python3", "-c", script)
    assert [wait_for_line(process) for _ in range(3)] == ["up", "heard", "end"]
