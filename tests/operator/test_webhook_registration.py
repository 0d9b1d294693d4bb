"""The API server is told to ask about the right pods, and about no others."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mmsnap_operator.webhook.registration import (
    AddressPlace,
    ServicePlace,
    is_prefix,
    registration,
)

PLACE = ServicePlace("memory-machine-webhook", "memverge")


def hooks(*prefixes: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = registration(PLACE, b"PEM", prefixes, "memverge")["webhooks"]
    return found


def test_who_asked_fails_closed_and_who_is_only_called_so_fails_open() -> None:
    asked, called = hooks("web-")
    assert (asked["failurePolicy"], called["failurePolicy"]) == ("Fail", "Ignore")
    assert [hook["clientConfig"]["service"]["path"] for hook in (asked, called)] == [
        "/annotation",
        "/prefix",
    ]
    for hook in (asked, called):
        assert hook["sideEffects"] == "None"
        assert hook["timeoutSeconds"] <= 5
        assert base64.b64decode(hook["clientConfig"]["caBundle"]) == b"PEM"
        assert hook["rules"][0]["operations"] == ["CREATE"]
        assert hook["rules"][0]["resources"] == ["pods"]


def test_only_labelled_namespaces_and_never_mmsnaps_own_or_the_clusters() -> None:
    for hook in hooks("web-"):
        selector = hook["namespaceSelector"]
        assert selector["matchLabels"] == {"memverge": "enabled"}
        assert selector["matchExpressions"] == [
            {
                "key": "kubernetes.io/metadata.name",
                "operator": "NotIn",
                "values": ["kube-system", "memverge"],
            }
        ]


def test_without_prefixes_nobody_is_asked_about_who_did_not_ask() -> None:
    assert [hook["name"] for hook in hooks()] == ["annotation.mmsnap.memverge.com"]


@pytest.mark.parametrize(
    "prefix", ["", " ", "Web", "'", "x'] + ['", "a\\", "a\n", "é", "-a", "a" * 254]
)
def test_a_prefix_that_no_pod_has_gets_nowhere(prefix: str) -> None:
    assert not is_prefix(prefix)
    assert len(hooks(prefix)) == 1
    assert "['web-']" in hooks(prefix, "web-")[1]["matchConditions"][1]["expression"]


def test_an_operator_beside_the_cluster_is_found_by_its_address() -> None:
    place = AddressPlace("10.0.0.1", 9443)
    client = registration(place, b"", [], "memverge")["webhooks"][0]["clientConfig"]
    assert client["url"] == "https://10.0.0.1:9443/annotation"
