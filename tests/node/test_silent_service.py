"""The fear: a call waits for a day for a service that is gone, or is ended because it asks."""

from __future__ import annotations

import os
import signal
import time

import pytest

from mmsnap.errors import AgentUnavailableError
from mmsnap_sdk import connecting
from mmsnap_sdk.client import Client
from tests.node.pool_site import Site

QUICK = {
    "grpc.keepalive_time_ms": 6_000,
    "grpc.keepalive_timeout_ms": 1_000,
    "grpc.http2.ping_timeout_ms": 1_000,
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    options = tuple((name, QUICK.get(name, value)) for name, value in connecting.OPTIONS)
    assert {name for name, _ in options} >= QUICK.keys()
    monkeypatch.setattr("mmsnap_sdk.client.OPTIONS", options)


def test_a_service_that_stands_still_is_missed(impatient: None) -> None:
    site = Site("reads slowly")
    try:
        site.start_agent()
        site.start_workers(*"abcd")
        site.client.checkpoint("g", "c")
        with Client(site.address) as client:
            client.members()
            os.kill(site.agent.pid, signal.SIGSTOP)
            began = time.monotonic()
            with pytest.raises(AgentUnavailableError):
                client.verify("g", "c")
            assert time.monotonic() - began < 30
    finally:
        os.kill(site.agent.pid, signal.SIGCONT)
        site.close()


def test_who_asks_whether_it_is_there_is_not_shown_the_door(impatient: None) -> None:
    """The service's own bound is five minutes, and more than two that are earlier end the call."""
    site = Site("reads very slowly")
    try:
        site.start_agent()
        site.start_workers("a")
        site.client.checkpoint("g", "c")
        with Client(site.address) as client:
            assert client.verify("g", "c") == ["a"]
    finally:
        site.close()
