"""What a pod pays for it: a start that nobody notices, and less than a MiB."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from tests.init.conftest import Start, wait_for_line

_ROUNDS = 60


def _start_ms(words: list[str | Path]) -> float:
    took = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        process = os.posix_spawn(words[0], words, {})
        os.waitpid(process, 0)
        took.append((time.perf_counter() - begun) * 1e3)
    return min(took)  # what is left when nobody else wants the processor


def test_a_start_costs_less_than_five_milliseconds(init: Path) -> None:
    bare = _start_ms(["/bin/true"])
    under = _start_ms([init, "--", "/bin/true"])
    print(f"/bin/true: {bare:.2f} ms, under mmsnap-init {under:.2f} ms")
    assert under - bare < 5


def _memory_kib(process: subprocess.Popen[bytes]) -> int:
    found = re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found
    return int(found[1])


def test_it_takes_less_than_a_mebibyte(start: Start, owned: dict[str, str]) -> None:
    plain = start("sh", "-c", "echo up; exec sleep 60")
    assert wait_for_line(plain) == "up"
    script = "head -c 3000000 /dev/zero; echo >&2; echo; echo up; exec sleep 60"
    with_pipes = start("sh", "-c", script, env=owned)
    while not wait_for_line(with_pipes).endswith("up"):
        pass
    took = _memory_kib(plain), _memory_kib(with_pipes)
    print(f"plain {took[0]} KiB, with pipes {took[1]} KiB")
    assert max(took) < 1024
