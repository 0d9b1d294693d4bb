"""The fear: what two nodes say on a link is lost in the middle, and somebody stands or is torn."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.nodes.fault_table import require_honest
from tests.nodes.faults import LINK, Theatre, wired_theatre
from tests.nodes.site import await_true

_MIDDLE = ("begin", "quiesce", "cut", "resume", "seal", "commit", "restore")


@pytest.fixture(scope="module")
def stage() -> Iterator[Theatre]:
    with wired_theatre() as made:
        yield made


@pytest.mark.parametrize("phase", _MIDDLE)
def test_a_link_that_is_cut_in_a_phase_loses_nothing(stage: Theatre, phase: str) -> None:
    outcome = stage.run(phase, LINK, "killed")
    require_honest(outcome)
    assert outcome.told != "no answer", "whoever asked is told what came of it"
    assert outcome.gap_seconds < 1.5, "nobody stood until its lease ended"
    if phase in ("quiesce", "cut"):
        assert outcome.told == "aborted", "between Quiesce and Resume nothing can be committed"


@pytest.mark.parametrize("phase", ["quiesce", "resume"])
def test_a_link_on_which_nothing_passes_is_given_up(stage: Theatre, phase: str) -> None:
    outcome = stage.run(phase, LINK, "stopped")
    require_honest(outcome)
    assert outcome.gap_seconds < 4, "members run on by themselves when their lease ends"


def test_who_has_no_certificate_or_was_not_asked_is_let_go(stage: Theatre) -> None:
    first, second = stage.nodes.nodes[:2]
    port = stage.links.port
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        plain.sendall(bytes(64))
        assert not plain.recv(1024).lstrip(b"\x15\x03\x01\x00\x02\x46\x0a\x32\x50")
    context = ssl.create_default_context(cafile=str(first.tls / "ca.crt"))
    context.load_cert_chain(first.tls / "tls.crt", first.tls / "tls.key")
    with (
        socket.create_connection(("127.0.0.1", port), 5) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as uninvited,
    ):
        uninvited.sendall(bytes(32))
        assert uninvited.recv(1) == b"", "a certificate of a node is no invitation"
    await_true(lambda: "n1 was not asked for it" in second.log, "it is in the log")
