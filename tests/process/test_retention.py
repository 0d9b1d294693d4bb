"""Pruning unmodified programs: a restore that waits for them, pages that others need."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import closing

from mmsnap.catalog import SqliteCatalog
from mmsnap.node.agent import CATALOG_FILE
from mmsnap.process.manifest import member_folder
from mmsnap.process.parts import epochs_of_parts, tidy
from tests.process.programs import COUNTER
from tests.process.site import Shim, Site, await_true


def counter(here: Site) -> Shim:
    shim = here.run("g", "a", sys.executable, "-c", COUNTER, "8")
    await_true(lambda: len(shim.lines) > 5, "the program counts")
    return shim


def automatic(here: Site) -> int:
    here.mmsnap("checkpoint", "create", "g")
    shown = here.mmsnap("checkpoint", "show", "g", "latest", "-o", "json")
    epoch: int = json.loads(shown.stdout)["epoch"]
    return epoch


def test_a_restore_is_pending_on_what_prune_would_delete(here: Site) -> None:
    shim = counter(here)
    before = int(shim.lines[-1])
    first = automatic(here)
    after = int(shim.lines[-1])
    await_true(lambda: int(shim.lines[-1]) > after + 50, "it gets ahead")
    second, third = automatic(here), automatic(here)
    shim.kill_program()
    assert "a has been started" in here.mmsnap("restore", "g", f"@{first}").stdout
    told = here.mmsnap("checkpoint", "prune", "g", "--keep-last", "0", "--yes", "-o", "json")
    assert [row["epoch"] for row in json.loads(told.stdout)] == [second]
    folder = member_folder(here.pool, "g", "a")
    assert epochs_of_parts(folder) == {first, third}
    again = here.run("g", "a", sys.executable, "-c", COUNTER, "8")
    await_true(lambda: again.lines, "it was restored")
    assert before < int(again.lines[0]) <= after + 1
    await_true(lambda: _prune(here) == [third], "the head is another one now")
    assert epochs_of_parts(folder) == {first}
    here.mmsnap("checkpoint", "verify", "g", f"@{first}")


def _prune(here: Site) -> list[int]:
    told = here.mmsnap("checkpoint", "prune", "g", "--keep-last", "0", "--yes", "-o", "json")
    return [row["epoch"] for row in json.loads(told.stdout)]


def test_pages_that_others_need_outlive_a_part_that_was_forgotten_meanwhile(here: Site) -> None:
    shim = counter(here)
    for name in ("one", "two", "three"):
        before = int(shim.lines[-1])
        here.checkpoint("g", name)
    after = int(shim.lines[-1])
    os.kill(shim.process.pid, signal.SIGKILL)
    shim.process.wait()
    here.agent.kill()
    here.agent.wait()
    with closing(SqliteCatalog(here.pool / CATALOG_FILE)) as catalog:
        catalog.delete("g", 1)
        catalog.delete("g", 2)
    folder = member_folder(here.pool, "g", "a")
    assert here.manifest("g", "a", 3)["parent"] == 2
    tidy(folder, {3})  # as its program does that comes back before the service has swept
    assert epochs_of_parts(folder) == {3}
    here.start_agent()
    here.mmsnap("checkpoint", "verify", "g", "three")
    here.mmsnap("restore", "g", "three")
    again = here.run("g", "a", sys.executable, "-c", COUNTER, "8")
    await_true(lambda: again.lines, "it was restored")
    assert before < int(again.lines[0]) <= after + 1
