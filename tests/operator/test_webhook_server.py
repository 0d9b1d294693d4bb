"""The server answers everybody in time, gives pods their due, and no request brings it down."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import jsonpatch
import pytest

from mmsnap_operator.certificates import Subject, issue, new_authority
from mmsnap_operator.webhook import review as reviews
from mmsnap_operator.webhook import server as servers
from mmsnap_operator.webhook import wishes
from mmsnap_operator.webhook.server import WebhookServer
from mmsnap_operator.webhook.settings import Current, Settings

Manifest = dict[str, Any]
Post = Callable[..., Awaitable[tuple[int, Any]]]

SUBJECT = Subject("localhost", addresses=["127.0.0.1"])
SETTINGS = Settings("registry/mmsnap:1")


def pod(wish: str | None = "yes", **spec: Any) -> Manifest:
    notes = {} if wish is None else {wishes.ASKED: wish}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "annotations": notes},
        "spec": {"containers": [{"name": "app", "image": "any", "command": ["run"]}], **spec},
    }


def review(manifest: Any, **request: Any) -> Manifest:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u1",
            "operation": "CREATE",
            "namespace": "demo",
            "object": manifest,
            **request,
        },
    }


@asynccontextmanager
async def served(current: Current) -> AsyncIterator[tuple[Post, int, ssl.SSLContext]]:
    now = datetime.now(UTC)
    authority = new_authority(now)
    server = WebhookServer(current)
    server.use(issue(authority, SUBJECT, now))
    port = await server.start("127.0.0.1", 0)
    trust = ssl.create_default_context(cadata=authority.certificate.decode())
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    async with aiohttp.ClientSession(f"https://127.0.0.1:{port}") as session:

        async def post(path: str, body: Any) -> tuple[int, Any]:
            data = body if isinstance(body, bytes) else json.dumps(body)
            async with session.post(path, data=data, ssl=trust) as response:
                text = await response.text()
                return response.status, json.loads(text) if response.ok else text

        try:
            yield post, port, trust
        finally:
            await server.stop()


def told(settings: Settings | None = SETTINGS) -> Current:
    current = Current()
    current.tell(settings)
    return current


def ask(path: str, body: Any, current: Current | None = None) -> tuple[int, Any]:
    async def once() -> tuple[int, Any]:
        async with served(current or told()) as (post, _, _):
            return await post(path, body)

    return asyncio.run(once())


def response(path: str, body: Any, current: Current | None = None) -> Manifest:
    status, answer = ask(path, body, current)
    assert status == 200
    assert answer["response"]["uid"] == "u1"
    found: Manifest = answer["response"]
    return found


@pytest.mark.parametrize(("path", "wish"), [("/annotation", "yes"), ("/prefix", None)])
def test_a_pod_is_injected(path: str, wish: str | None) -> None:
    answer = response(path, review(pod(wish)))
    assert answer["allowed"]
    assert answer["patchType"] == "JSONPatch"
    patch = json.loads(base64.b64decode(answer["patch"]))
    container = jsonpatch.apply_patch(pod(wish), patch)["spec"]["containers"][0]
    assert container["command"] == ["/opt/memverge/mmsnap-init", "--", "run"]


@pytest.mark.parametrize(("path", "wish"), [("/annotation", None), ("/annotation", "no")])
def test_a_pod_that_did_not_ask_is_let_through_untouched(path: str, wish: str | None) -> None:
    assert response(path, review(pod(wish))) == {"uid": "u1", "allowed": True}


def test_who_asked_and_can_not_be_captured_is_refused_with_the_reason() -> None:
    answer = response("/annotation", review(pod(hostPID=True)))
    assert not answer["allowed"]
    assert "hostPID" in answer["status"]["message"]


def test_who_did_not_ask_and_can_not_be_captured_is_let_through_with_a_warning() -> None:
    answer = response("/prefix", review(pod(None, hostPID=True)))
    assert answer["allowed"]
    assert "patch" not in answer
    assert "hostPID" in answer["warnings"][0]


@pytest.mark.parametrize("wish", ["true", "Yes", ""])
def test_another_word_than_yes_is_not_guessed_at(wish: str) -> None:
    answer = response("/annotation", review(pod(wish)))
    assert not answer["allowed"]
    assert 'write "yes" or "no"' in answer["status"]["message"]


@pytest.mark.parametrize(("current", "word"), [(told(None), "apply one"), (Current(), "try again")])
def test_without_a_memory_machine_who_asked_is_refused_with_the_reason(
    current: Current, word: str
) -> None:
    answer = response("/annotation", review(pod()), current)
    assert not answer["allowed"]
    assert word in answer["status"]["message"]
    assert response("/prefix", review(pod(None)), current)["allowed"]


def test_what_is_no_new_pod_is_let_through() -> None:
    for request in ({"operation": "UPDATE"}, {"subResource": "ephemeralcontainers"}):
        assert response("/annotation", review(pod(), **request)) == {"uid": "u1", "allowed": True}


MALFORMED = {
    "nothing": b"",
    "no JSON": b"{",
    "deep": b"[" * 100_000,
    "no text": b"\xff\xfe",
    "a list": [],
    "another kind": {"apiVersion": "admission.k8s.io/v1", "kind": "Pod"},
    "another version": review(pod()) | {"apiVersion": "admission.k8s.io/v1beta1"},
    "no request": {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"},
    "no uid": review(pod(), uid=7),
    "no pod": review(None),
    "no spec": review({"kind": "Pod", "metadata": {}}),
    "no containers": review({"kind": "Pod", "metadata": {}, "spec": {"containers": []}}),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_nonsense_is_told_from_a_review(what: str) -> None:
    status, text = ask("/annotation", MALFORMED[what])
    assert status == 400
    assert text


@pytest.mark.parametrize(
    "damage", [{"containers": ["app"]}, {"containers": [{}]}, {"volumes": "x"}, {"nodeSelector": 7}]
)
def test_a_pod_that_no_api_server_would_let_through_is_refused_and_brings_nothing_down(
    damage: Manifest,
) -> None:
    async def twice() -> tuple[Any, Any]:
        async with served(told()) as (post, _, _):
            return await post("/annotation", review(pod(**damage))), await post(
                "/annotation", review(pod())
            )

    (status, answer), (_, sound) = asyncio.run(twice())
    assert status == 200
    assert not answer["response"]["allowed"]
    assert sound["response"]["allowed"]


def test_a_body_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    status, _ = ask("/annotation", b" " * (servers._BODY_MAX_BYTES + 1))
    assert status == 413


def test_who_sends_slowly_is_hung_up_on_and_nobody_waits_for_him(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "_BODY_SECONDS", 0.3)

    async def slow() -> bytes:
        async with served(told()) as (post, port, trust):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            writer.write(b"POST /annotation HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            status, _ = await post("/annotation", review(pod()))
            assert status == 200
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return answer

    assert asyncio.run(slow()).startswith(b"HTTP/1.1 408")


def test_two_hundred_at_a_time_are_all_answered() -> None:
    async def crowd() -> list[Any]:
        async with served(told()) as (post, _, _):
            asked = (post("/annotation", review(pod())) for _ in range(200))
            return await asyncio.gather(*asked)

    assert all(
        status == 200 and answer["response"]["allowed"] for status, answer in asyncio.run(crowd())
    )


def test_a_new_certificate_is_shown_to_new_connections_and_ends_no_old_one() -> None:
    async def renew() -> None:
        now = datetime.now(UTC)
        old, new = new_authority(now), new_authority(now)
        server = WebhookServer(told())
        server.use(issue(old, SUBJECT, now))
        port = await server.start("127.0.0.1", 0)
        url = f"https://127.0.0.1:{port}/healthz"
        trusts = [ssl.create_default_context(cadata=one.certificate.decode()) for one in (old, new)]
        try:
            async with aiohttp.ClientSession() as open_before:
                assert (await open_before.get(url, ssl=trusts[0])).ok
                server.use(issue(new, SUBJECT, now))
                assert (await open_before.get(url, ssl=trusts[0])).ok
            async with aiohttp.ClientSession() as open_after:
                assert (await open_after.get(url, ssl=trusts[1])).ok
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    await open_after.get(url, ssl=trusts[0])
        finally:
            await server.stop()

    asyncio.run(renew())


def test_a_bug_in_injection_lets_no_asking_pod_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(reviews, "inject", broken)
    answer = response("/annotation", review(pod()))
    assert not answer["allowed"]
    assert "log of its operator" in answer["status"]["message"]
    assert response("/prefix", review(pod(None)))["allowed"]
