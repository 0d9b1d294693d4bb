"""The fear: a program that is ended lives on in a process that it was just forking."""

from __future__ import annotations

import os
import subprocess

import pytest

from mmsnap.process.freezer import make_freezer


@pytest.mark.skipif(os.geteuid() != 0, reason="cgroups are root's to make")
def test_who_is_forked_by_one_that_is_dying_is_ended_too() -> None:
    freezer = make_freezer("tests.forking")

    def come_in() -> None:
        freezer.procs.write_text("0")

    try:
        freezer.kill()
        # What a kill does not see, for it was not there yet.
        with subprocess.Popen(["sleep", "20"], preexec_fn=come_in) as late:
            assert late.pid in freezer.pids()
            freezer.wait_empty(5)
            assert late.wait() == -9
    finally:
        freezer.remove()
