"""The webhook before a real API server: who asked is captured, and nobody else notices it.

The API server finds it by a Service, as it finds the operator's; behind the Service is a process in
the first node's network.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mmsnap_operator.webhook import wishes
from mmsnap_operator.webhook.keeping import SECRET
from mmsnap_operator.webhook.registration import NAME
from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.webhook_process import IMAGE

pytestmark = pytest.mark.timeout(300)

Manifest = dict[str, Any]

SERVICE = "webhook"
HOME = "webhook-home"
PODS = "webhook-pods"
PORT = 9743
OF_ITS_OWN = ("uid", "creationTimestamp", "namespace", "managedFields")


class Webhook:
    """The process, started and ended at will."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.shown: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def start(self, *seconds: float) -> None:
        """Until the API server reaches it; `seconds` are lifetimes of certificates."""
        inside = ("nsenter", f"--net=/proc/{self.cluster.node.machine.init_pid}/ns/net")
        words = (sys.executable, "-m", "tests.kubernetes.webhook_process", HOME, SERVICE, str(PORT))
        self._process = subprocess.Popen(
            [*inside, "env", f"KUBECONFIG={self.cluster.work}/keys/admin.kubeconfig", *words]
            + [str(one) for one in seconds],
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        self.wait_for(PODS)

    def wait_for(self, namespace: str) -> None:
        """Until the API server knows that it is to ask about this namespace, and can."""
        eventually(
            lambda: self.create(pod("first", "yes"), namespace)["spec"]["initContainers"],
            "the webhook",
        )

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def create(self, manifest: Manifest, namespace: str, *words: str) -> Manifest:
        """What would come of it; the error tells what was said."""
        asked = ("create", "-n", namespace, "-f", "-", "-o", "json", "--dry-run=server", *words)
        told: Manifest = json.loads(self.cluster.kubectl(*asked, stdin=json.dumps(manifest)))
        return told

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.shown += [line.strip() for line in process.stdout if line.startswith("shows")]


@pytest.fixture(scope="module")
def home(cluster: Cluster) -> Iterator[Cluster]:
    """The Service, and what the webhook makes, which is removed at the end."""
    for name in (HOME, PODS):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    cluster.kubectl("label", "namespace", PODS, "memverge=enabled")
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": HOME},
            "spec": {"ports": [{"port": 443, "targetPort": PORT}]},
        }
    )
    cluster.apply(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{SERVICE}-1",
                "namespace": HOME,
                "labels": {"kubernetes.io/service-name": SERVICE},
            },
            "addressType": "IPv4",
            "ports": [{"port": PORT}],
            "endpoints": [{"addresses": [cluster.node.address]}],
        }
    )
    yield cluster
    for kind in ("mutatingwebhookconfiguration", "validatingwebhookconfiguration"):
        cluster.kubectl("delete", kind, NAME, "--ignore-not-found")
    cluster.kubectl("delete", "namespace", HOME, PODS, "--wait=false")


@pytest.fixture(scope="module")
def webhook(home: Cluster) -> Iterator[Webhook]:
    """Up, and asked about pods in PODS."""
    webhook = Webhook(home)
    try:
        webhook.start()
        yield webhook
    finally:
        webhook.stop()


@pytest.fixture
def down(webhook: Webhook) -> Iterator[Webhook]:
    """The same, while its process is not there."""
    webhook.stop()
    yield webhook
    webhook.start()


def pod(name: str, wish: str | None = None, **spec: Any) -> Manifest:
    container = {"name": "app", "image": "localhost/debian:bookworm", "command": ["sleep", "600"]}
    metadata: Manifest = {"generateName" if name.endswith("-") else "name": name}
    if wish is not None:
        metadata["annotations"] = {wishes.ASKED: wish}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"automountServiceAccountToken": False, "containers": [container], **spec},
    }


def without_what_is_its_own(created: Manifest) -> bytes:
    rest = copy.deepcopy(created)
    for key in OF_ITS_OWN:
        rest["metadata"].pop(key, None)
    if "generateName" in rest["metadata"]:
        del rest["metadata"]["name"]
    return json.dumps(rest, sort_keys=True).encode()


def refusal(webhook: Webhook, manifest: Manifest) -> str:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        webhook.create(manifest, PODS)
    return str(refused.value.stderr)


@pytest.mark.parametrize(("name", "wish"), [("asks", "yes"), ("called-1", None), ("called-", None)])
def test_who_asked_or_is_called_so_is_captured(
    webhook: Webhook, name: str, wish: str | None
) -> None:
    spec = webhook.create(pod(name, wish), PODS)["spec"]
    assert spec["initContainers"][0]["image"] == IMAGE
    assert spec["containers"][0]["command"] == ["/opt/memverge/mmsnap-init", "--", "sleep", "600"]
    assert {"mmsnap-bin", "mmsnap"} <= {volume["name"] for volume in spec["volumes"]}


DID_NOT_ASK = [pod("silent"), pod("silent-"), pod("called-1", "no"), pod("is-called-")]


def assert_untouched(webhook: Webhook, manifest: Manifest) -> None:
    """The same, byte for byte, as where the webhook is never asked."""
    here, elsewhere = (webhook.create(manifest, namespace) for namespace in (PODS, "default"))
    assert without_what_is_its_own(here) == without_what_is_its_own(elsewhere)


def test_who_did_not_ask_is_untouched(webhook: Webhook) -> None:
    for manifest in DID_NOT_ASK:
        assert_untouched(webhook, manifest)


def test_who_did_not_ask_is_untouched_while_it_is_down(down: Webhook) -> None:
    for manifest in DID_NOT_ASK:
        assert_untouched(down, manifest)


def test_in_a_namespace_without_the_label_nobody_is_asked_about(webhook: Webhook) -> None:
    created = webhook.create(pod("asks", "yes"), "default")
    assert "initContainers" not in created["spec"]


def test_while_it_is_down_who_asked_waits_and_who_is_only_called_so_does_not(
    down: Webhook,
) -> None:
    said = refusal(down, pod("asks", "yes"))
    assert "annotation.mmsnap.memverge.com" in said
    assert "connection refused" in said
    assert "initContainers" not in down.create(pod("called-1"), PODS)["spec"]


def test_who_can_not_be_captured_is_told_why(webhook: Webhook) -> None:
    assert "hostPID" in refusal(webhook, pod("asks", "yes", hostPID=True))
    assert 'write "yes" or "no"' in refusal(webhook, pod("asks", "true"))
    told = subprocess.run(
        webhook.cluster.kubectl_command("create", "-n", PODS, "-f", "-", "--dry-run=server"),
        input=json.dumps(pod("called-1", hostPID=True)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Warning: mmsnap does not capture this pod" in told.stderr


def test_a_captured_pod_meets_the_restricted_standard(webhook: Webhook, namespace: str) -> None:
    webhook.cluster.kubectl("label", "namespace", namespace, "memverge=enabled")
    webhook.wait_for(namespace)
    webhook.cluster.kubectl(
        "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"
    )
    strict = pod("strict", "yes", securityContext={"seccompProfile": {"type": "RuntimeDefault"}})
    strict["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
    }
    assert "initContainers" in webhook.create(strict, namespace)["spec"]


def test_a_manifest_got_from_the_cluster_is_applied_again_as_it_is(
    webhook: Webhook,
) -> None:
    once = webhook.create(pod("again", "yes"), PODS)
    again = webhook.create(once, PODS)
    assert without_what_is_its_own(again) == without_what_is_its_own(once)


def test_the_pods_of_a_deployment_are_captured_as_its_members(
    webhook: Webhook,
) -> None:
    template = pod("x", "yes")
    labels = {"app": "web"}
    template["metadata"] = {"labels": labels, "annotations": {wishes.ASKED: "yes"}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": PODS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": template["metadata"], "spec": template["spec"]},
        },
    }
    webhook.cluster.apply(deployment)
    eventually(lambda: webhook.cluster.get("pods", "-n", PODS)["items"], "a pod")
    made = webhook.cluster.get("pods", "-n", PODS)["items"][0]
    volume = next(one for one in made["spec"]["volumes"] if one["name"] == "mmsnap")
    assert volume["csi"]["volumeAttributes"]["workload"] == "web"
    env = {one["name"]: one.get("value") for one in made["spec"]["containers"][0]["env"]}
    assert env["MMSNAP_GROUP"] == f"{PODS}--web"
    assert env["MMSNAP_MEMBER"] == "$(MM_POD_NAME)"


def test_certificates_are_renewed_under_a_stream_of_requests_and_none_is_lost(
    home: Cluster, down: Webhook
) -> None:
    webhook = down
    home.kubectl("delete", "secret", "-n", HOME, SECRET, "--ignore-not-found")
    asked, failures, over = [0], [], threading.Event()

    def stream() -> None:
        while not over.is_set():
            try:
                webhook.create(pod("asks", "yes"), PODS)
                asked[0] += 1
            except subprocess.CalledProcessError as error:
                failures.append(error.stderr)

    bundles, before = set(), len(webhook.shown)
    try:
        # An authority is replaced after 26 s of its 40, a certificate after 13 s of its 20.
        webhook.start(40, 20, 6)
        threads = [threading.Thread(target=stream) for _ in range(3)]
        for thread in threads:
            thread.start()

        def has_seen_three_authorities() -> bool:
            told = home.get("mutatingwebhookconfiguration", NAME)
            bundles.add(told["webhooks"][0]["clientConfig"]["caBundle"])
            return len(bundles) >= 5

        try:
            eventually(has_seen_three_authorities, "new authorities", seconds=150)
        finally:
            over.set()
            for thread in threads:
                thread.join()
    finally:
        webhook.stop()
        home.kubectl("delete", "secret", "-n", HOME, SECRET)
    print(f"{asked[0]} requests, {len(bundles)} bundles, certificates:", *webhook.shown[before:])
    assert failures == []
    assert asked[0] >= 50
    assert len(set(webhook.shown[before:])) >= 4
