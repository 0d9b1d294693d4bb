"""Requests are asked about, fail closed, and what makes no sense brings nothing down."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from mmsnap_operator.admission.registration import PATH, registration
from mmsnap_operator.admission.requester import Requester
from mmsnap_operator.admission.review import RequestReviews
from mmsnap_operator.cluster import ApiError, kinds
from mmsnap_operator.requests.site import Site
from mmsnap_operator.webhook.registration import ServicePlace
from mmsnap_operator.webhook.review import MalformedReview
from mmsnap_operator.webhook.settings import Current, Settings
from mmsnap_operator.workloads.refusals import Refused

Manifest = dict[str, Any]


class Broken:
    """An API server that takes what is posted, and answers with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.posted: list[Manifest] = []

    async def get(self, *_: Any) -> Manifest:
        raise self.error

    list = get

    async def create(self, manifest: Manifest) -> Manifest:
        self.posted.append(manifest)
        raise self.error


def review(kind: str, spec: Any, **request: Any) -> Manifest:
    asked = {"kind": kind, "metadata": {"namespace": "demo"}, "spec": spec}
    known = {"uid": "u1", "operation": "CREATE", "namespace": "demo", "object": asked}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {**known, **request},
    }


WITH_A_MACHINE = Current(Settings("image"), known=True)
WITHOUT_ONE = Current(None, known=True)


def answered(
    asked: Manifest, error: Exception | None = None, current: Current = WITH_A_MACHINE
) -> Manifest:
    api: Any = Broken(error or ApiError(500, "etcd is away"))
    nobody: Any = None
    reviews = RequestReviews(Site(api, nobody, nobody), current, "memverge")
    answer = asyncio.run(reviews.answer(asked))["response"]
    assert answer["uid"] == "u1"
    found: Manifest = answer
    return found


def test_requests_fail_closed_and_the_operators_own_are_not_asked_about() -> None:
    (hook,) = registration(ServicePlace("w", "memverge"), b"PEM", "memverge", None)["webhooks"]
    assert hook["failurePolicy"] == "Fail"
    assert hook["clientConfig"]["service"]["path"] == f"/{PATH}"
    assert base64.b64decode(hook["clientConfig"]["caBundle"]) == b"PEM"
    rule, changed = hook["rules"]
    assert rule["operations"] == ["CREATE"]
    assert (changed["operations"], changed["resources"]) == (["UPDATE"], ["checkpointschedules"])
    assert sorted(rule["resources"]) == [
        "checkpointrequests",
        "checkpoints",
        "checkpointschedules",
        "restorerequests",
    ]
    operators, news = hook["matchConditions"]
    assert "system:serviceaccount:memverge:memory-machine-operator" in operators["expression"]
    # Finalizers can be taken away, also where nobody answers.
    assert "object.spec != oldObject.spec" in news["expression"]


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({"schedule": "61 * * * *"}, "says no time"),
        ({"schedule": "0 3 * * *", "timeZone": "Europe/Atlantis"}, "there is no time zone"),
        ({"interval": "9000000d"}, "out of range"),
        ({"interval": "367d"}, "longer than a year"),
        ({"interval": "0s"}, "longer than nothing"),
        ({"interval": "1h", "retention": {"keepWithin": "9000000d"}}, "out of range"),
    ],
)
def test_a_schedule_of_times_that_there_are_not_is_refused_and_so_is_a_change_to_them(
    operation: str, times: Manifest, words: str
) -> None:
    spec = {"template": {"spec": {"source": {"selector": {"matchLabels": {"a": "b"}}}}}, **times}
    answer = answered(review("CheckpointSchedule", spec, operation=operation), Refused("No", "pod"))
    assert not answer["allowed"]
    assert answer["status"]["code"] == 403
    assert words in answer["status"]["message"]


def test_a_schedule_that_is_changed_is_not_looked_at_further() -> None:
    """Its workload may be away for the moment; who suspends it needs no pods."""
    spec = {"template": {"spec": {"source": {}}}, "interval": "1h", "suspend": True}
    assert answered(review("CheckpointSchedule", spec, operation="UPDATE"))["allowed"]


@pytest.mark.parametrize("kind", ["CheckpointRequest", "RestoreRequest"])
def test_without_a_memorymachine_a_request_is_refused_and_does_not_wait_for_one(kind: str) -> None:
    answer = answered(review(kind, {"source": {}, "strategy": "Clone"}), current=WITHOUT_ONE)
    assert not answer["allowed"]
    assert "there is no MemoryMachine" in answer["status"]["message"]
    assert "apply one first" in answer["status"]["message"]


@pytest.mark.parametrize(
    "error", [ApiError(500, "etcd is away"), TimeoutError(), ZeroDivisionError()]
)
@pytest.mark.parametrize("kind", ["CheckpointRequest", "RestoreRequest", "Checkpoint"])
def test_what_can_not_be_looked_at_is_not_let_through(kind: str, error: Exception) -> None:
    spec = {
        "source": {"checkpointName": "x", "namespace": "other", "kind": "Pod", "name": "x"},
        "strategy": "Clone",
    }
    answer = answered(review(kind, spec), error)
    assert not answer["allowed"]
    assert answer["status"]["code"] == 503
    assert "try again" in answer["status"]["message"] or "log" in answer["status"]["message"]


def test_what_is_no_new_request_is_let_through() -> None:
    for request in ({"operation": "DELETE"}, {"subResource": "status"}):
        assert answered(review("RestoreRequest", {}, **request))["allowed"]


@pytest.mark.parametrize("asked", [None, [], {"spec": 7}, {"kind": "RestoreRequest"}])
def test_nonsense_is_told_from_a_review(asked: Any) -> None:
    with pytest.raises(MalformedReview):
        answered(review("RestoreRequest", {}, object=asked))


def test_somebody_is_asked_about_as_the_api_server_knows_him() -> None:
    """Groups and extras count: an authorizer may go by them alone."""
    api: Any = Broken(ApiError(500, ""))
    user = {
        "username": "jane",
        "uid": "7",
        "groups": ["dev", "system:authenticated"],
        "extra": {"example.com/scopes": ["checkpoints"]},
    }
    with pytest.raises(ApiError):
        asyncio.run(Requester.of(user).may(api, "get", kinds.CHECKPOINT, "demo", "hz-1"))
    (posted,) = api.posted
    assert posted["spec"] == {
        "user": "jane",
        "uid": "7",
        "groups": ["dev", "system:authenticated"],
        "extra": {"example.com/scopes": ["checkpoints"]},
        "resourceAttributes": {
            "verb": "get",
            "group": "mm.memverge.com",
            "version": "v1alpha1",
            "resource": "checkpoints",
            "namespace": "demo",
            "name": "hz-1",
        },
    }
