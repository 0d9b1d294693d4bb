"""A real containerd asks the plugin, and no container ever suffers from it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from mmsnap.pods.nri import INIT_COMMAND, WRAP_ANNOTATION
from mmsnap.pods.nri.session import PLUGIN_NAME
from tests.kubernetes.containerd_alone import Containerd
from tests.kubernetes.nri_process import plugin_at

FROM_IMAGE = ["/program", "from", "the image"]
ASKED = {WRAP_ANNOTATION: "main, second"}
REQUIRED = {"required-plugins.noderesource.dev": f'["{PLUGIN_NAME}"]'}


@pytest.fixture(scope="module")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    yield from _alone(tmp_path_factory.mktemp("containerd"), validator=False)


@pytest.fixture
def strict_containerd(tmp_path: Path) -> Iterator[Containerd]:
    yield from _alone(tmp_path, validator=True)


def _alone(folder: Path, *, validator: bool) -> Iterator[Containerd]:
    if os.geteuid() != 0:
        pytest.skip("only root can make the namespaces of a containerd")
    site = Containerd(folder, validator=validator)
    yield site
    site.close()


def test_only_the_named_container_is_wrapped(containerd: Containerd) -> None:
    with plugin_at(containerd.nri_socket):
        pod = containerd.run_pod("asked", ASKED)
        assert pod.run("main")[0] == [*INIT_COMMAND, *FROM_IMAGE]
        with_others = ["/program", "with", "these"]
        assert pod.run("second", ["with", "these"])[0] == [*INIT_COMMAND, *with_others]
        assert pod.run("third")[0] == FROM_IMAGE
        assert containerd.run_pod("not-asked", {}).run("main")[0] == FROM_IMAGE


def test_what_is_wrapped_already_is_not_wrapped_again(containerd: Containerd) -> None:
    wrapped = [*INIT_COMMAND, *FROM_IMAGE]
    with plugin_at(containerd.nri_socket), plugin_at(containerd.nri_socket):
        assert containerd.run_pod("twice", ASKED).run("main")[0] == wrapped
        by_hand = containerd.run_pod("by-hand", ASKED)
        assert by_hand.run("main", command=wrapped)[0] == wrapped


def test_without_the_folder_of_the_init_it_is_left_alone(containerd: Containerd) -> None:
    with plugin_at(containerd.nri_socket):
        pod = containerd.run_pod("no-folder", ASKED)
        assert pod.run("main", init_folder=False)[0] == FROM_IMAGE


@pytest.mark.parametrize("length", [4000, 4096, 5000, 100_000])
def test_long_arguments_arrive_whole(containerd: Containerd, length: int) -> None:
    """containerd's reader breaks the connection on frames it has no room for."""
    words = ["a" * length, "b" * (length - 1)] * 3
    with plugin_at(containerd.nri_socket):
        pod = containerd.run_pod(f"long-{length}", ASKED)
        assert pod.run("main", words)[0] == [*INIT_COMMAND, "/program", *words]
        assert pod.run("second")[0] == [*INIT_COMMAND, *FROM_IMAGE]


def test_a_killed_plugin_keeps_no_container_waiting(containerd: Containerd) -> None:
    with plugin_at(containerd.nri_socket) as plugin:
        pod = containerd.run_pod("killed", ASKED)
        plugin.kill()
        arguments, creation_seconds = pod.run("main")
        assert arguments == FROM_IMAGE
        assert containerd.run_pod("beside", {}).run("main")[0] == FROM_IMAGE
        assert creation_seconds < 1
    with plugin_at(containerd.nri_socket) as plugin:
        assert plugin.next("missed") == ["killed", "main"]
        assert pod.run("second")[0] == [*INIT_COMMAND, *FROM_IMAGE]


def test_a_stopped_plugin_costs_its_time_once_and_comes_back(containerd: Containerd) -> None:
    with plugin_at(containerd.nri_socket) as plugin:
        pod = containerd.run_pod("stopped", {})
        plugin.process.send_signal(signal.SIGSTOP)
        arguments, first_seconds = pod.run("main")
        assert arguments == FROM_IMAGE
        assert first_seconds < 4
        assert pod.run("other")[1] < 1
        plugin.process.send_signal(signal.SIGCONT)
        assert "hung up" in plugin.await_state(False)
        plugin.await_state(True)
        assert containerd.run_pod("after", ASKED).run("main")[0] == [*INIT_COMMAND, *FROM_IMAGE]


def test_a_restart_of_containerd_brings_the_plugin_back(containerd: Containerd) -> None:
    with plugin_at(containerd.nri_socket) as plugin:
        containerd.kill()
        assert "hung up" in plugin.await_state(False)
        assert "containerd is down" in plugin.await_state(False)
        containerd.start()
        plugin.await_state(True)
        assert containerd.run_pod("anew", ASKED).run("main")[0] == [*INIT_COMMAND, *FROM_IMAGE]


def test_with_the_validator_a_pod_that_requires_the_plugin_waits_for_it(
    strict_containerd: Containerd,
) -> None:
    pod = strict_containerd.run_pod("requires", ASKED | REQUIRED)
    with pytest.raises(grpc.RpcError, match='required plugin "mmsnap" not present'):
        pod.run("main")
    assert strict_containerd.run_pod("beside", {}).run("main")[0] == FROM_IMAGE
    with plugin_at(strict_containerd.nri_socket):
        assert pod.run("main")[0] == [*INIT_COMMAND, *FROM_IMAGE]
