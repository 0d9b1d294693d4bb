"""The first tutorial as it is printed, and `kubectl mmsnap` with the operator behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.image.product import release
from tests.kubernetes.kubectl_user import CHECKOUT, User
from tests.kubernetes.operator_site import NAMESPACE
from tests.kubernetes.pods_site import IMAGE
from tests.kubernetes.requests_site import RequestsSite, requests_site

pytestmark = pytest.mark.timeout(600)

_README = CHECKOUT / "tutorials/first-pod/README.md"
_NUMBERS_BYTES = 64 << 20


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[RequestsSite]:
    with requests_site(cluster) as made:
        # The image that the tutorial's pod names, as if it had been pulled.
        cluster.node.enter(["ctr", "-n", "k8s.io", "images", "tag", "--force", IMAGE, release()])
        yield made


@pytest.fixture
def admin(site: RequestsSite, tmp_path: Path) -> Iterator[User]:
    user = User(site.cluster, tmp_path / "admin")
    yield user
    user.leave()


def printed() -> list[str]:
    """The blocks of commands of the tutorial, in their order."""
    return re.findall(r"^```sh\n(.*?)^```", _README.read_text(), re.MULTILINE | re.DOTALL)


def used_bytes(user: User) -> int:
    told = user.mmsnap("usage", "--fresh", "-o", "json")
    (node,) = json.loads(told.stdout)["nodes"]
    used: int = node["usedBytes"]
    return used


def test_script_of_the_tutorial(site: RequestsSite, admin: User) -> None:
    """It compares the usage itself, and fails when that does not go down."""
    done = admin.types(printed()[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bytes with the pod" in done.stdout


def test_each_step_of_the_tutorial_as_printed(site: RequestsSite, admin: User) -> None:
    before, with_pod, after = printed()[1:]
    shown = admin.types(before)
    assert shown.returncode == 0, shown.stderr
    assert "node1" in shown.stdout
    empty = used_bytes(admin)

    shown = admin.types(with_pod)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert re.search(
        r"^first +numbers +node1 +Ready +first-pod--first ", shown.stdout, re.MULTILINE
    )
    assert re.search(r"^first-pod--first +first +\d", shown.stdout, re.MULTILINE)
    assert used_bytes(admin) - empty >= _NUMBERS_BYTES

    shown = admin.types(after)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    eventually(lambda: used_bytes(admin) - empty < _NUMBERS_BYTES // 8, "the usage to go down", 60)
    shown = admin.mmsnap("show-usage", "--node", "node1")
    assert shown.returncode == 0, shown.stderr
    assert "node1" in shown.stdout
    assert "first" not in shown.stdout


def test_viewer_of_the_machine_sees_usage_without_a_way_to_the_agents(
    site: RequestsSite, tmp_path: Path
) -> None:
    site.cluster.kubectl(
        "create", "rolebinding", "vera", "-n", NAMESPACE, "--user=vera",
        "--clusterrole=memory-machine-viewer",
    )  # fmt: skip
    vera = User(site.cluster, tmp_path / "vera", "vera")
    shown = vera.mmsnap("usage")
    assert shown.returncode == 0, shown.stderr
    assert "node1" in shown.stdout
    site.cluster.kubectl("delete", "rolebinding", "vera", "-n", NAMESPACE)
    eventually(lambda: vera.mmsnap("usage").returncode == 1, "the right to be gone")


def test_set_comes_back_by_kubectl_alone(site: RequestsSite, admin: User) -> None:
    """Checkpoint, restore in place, and as a clustersnap into new pods."""
    place = "by-kubectl"
    site.namespace(place)
    try:
        site.stateful_set(place, "count", aware=True)
        words = ("-n", place, "--delete-bytes", "-o", "json")
        taken = admin.mmsnap("checkpoint", "create", "sts/count", *words)
        assert taken.returncode == 0, taken.stderr
        name = json.loads(taken.stdout)["metadata"]["name"]
        pods = site.pods(place, "count")
        restored = admin.mmsnap("restore", name, "-n", place)
        assert restored.returncode == 0, restored.stderr
        assert site.pods(place, "count") == pods

        snap = ("clustersnap", "create", "before", "--namespace", place, "--statefulset", "count")
        made = admin.mmsnap(*snap)
        assert made.returncode == 0, made.stderr
        restored = admin.mmsnap("clustersnap", "restore", "before", "--namespace", place)
        assert restored.returncode == 0, restored.stderr
        assert not set(site.pods(place, "count").values()) & set(pods.values())
        assert admin.mmsnap("clustersnap", "delete", "before", "-n", place, "--yes").returncode == 0
        missing = admin.mmsnap("checkpoint", "create", "sts/nobody", "-n", place)
        assert missing.returncode != 0
        assert "nobody" in missing.stderr
    finally:
        site.cluster.kubectl("delete", "namespace", place, "--timeout=90s", seconds=120)
