"""Members with mmsnap's memory and programs that know nothing of it, in one cut."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.process.programs import COUNTER
from tests.process.site import MMSNAP, Site, await_true

_ATTACHED = """
import time, mmsnap
with mmsnap.attach(on_loss="wait") as app:
    cells = app.array("n", (1,), "i8")
    while True:
        with app.update(): cells[0] += 1
        print(int(cells[0]), flush=True)
        time.sleep(0.02)
"""


def test_both_go_back_to_the_same_instant(here: Site) -> None:
    out = here.folder / "memory.out"
    words = ["run", "--group", "g", "--member", "memory", "--", sys.executable, "-c", _ATTACHED]
    with out.open("wb") as stdout:
        memory = subprocess.Popen([MMSNAP, *words], env=here.environment, stdout=stdout)
    try:
        program = here.run("g", "program", sys.executable, "-c", COUNTER, "4")
        await_true(lambda: here.attached("g") == {"memory", "program"}, "both are members")
        await_true(lambda: len(program.lines) > 5, "the program counts")
        taken = here.checkpoint("g", "c")
        engines = {part["member"]: part["engine"] for part in taken["members"]}
        assert engines == {"memory": "memory", "program": "process"}
        after = {"memory": int(out.read_text().split()[-1]), "program": int(program.lines[-1])}
        await_true(lambda: int(out.read_text().split()[-1]) > after["memory"] + 400, "far ahead")
        here.mmsnap("restore", "g", "c")
        await_true(
            lambda: int(out.read_text().split()[-1]) < after["memory"] + 200, "the memory is back"
        )
        assert int(program.lines[-1]) < after["program"] + 200, "and so is the program"
        assert memory.poll() is None
    finally:
        memory.terminate()
        memory.wait(20)
    assert os.path.isdir(here.pool / "regions" / "g.memory")
