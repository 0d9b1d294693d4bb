"""The webhook's HTTPS server, of the operator's event loop.

The API server keeps its connections and comes again on them, over HTTP/1.1. Anybody in the cluster
can reach it, and learns nothing: it knows no secrets of pods and keeps nothing of what it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

from aiohttp import web

from mmsnap_operator.certificates import Pair
from mmsnap_operator.webhook.review import Answer, MalformedReview, Way, answer
from mmsnap_operator.webhook.settings import Current

Reviewer = Callable[[object], Awaitable[Answer]]  # MalformedReview

log = logging.getLogger(__name__)

# The API server takes objects of up to 3 MiB.
_BODY_MAX_BYTES: Final = 8 << 20
_BODY_SECONDS: Final = 5.0
# Longer than the 90 s after which the API server drops an idle connection: if both did at once, a
# request could be lost in between.
_IDLE_SECONDS: Final = 180.0
_REST_SECONDS: Final = 1.0  # for the rest of a request that is answered already
_STOP_SECONDS: Final = 5.0


class WebhookServer:
    """Answers what the API server asks about pods, and about what others have an answer to."""

    def __init__(self, current: Current, others: Mapping[str, Reviewer] | None = None) -> None:
        """Make it; nothing listens yet.

        Args:
            others: who answers reviews at other paths.
        """
        self._reviewers: dict[str, Reviewer] = {
            **{str(way): _of_pods(way, current) for way in Way},
            **(others or {}),
        }
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._pair: Pair | None = None
        application = web.Application(client_max_size=_BODY_MAX_BYTES)
        application.router.add_get("/healthz", self._healthz)
        for path in self._reviewers:
            application.router.add_post(f"/{path}", self._review)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            keepalive_timeout=_IDLE_SECONDS,
            lingering_time=_REST_SECONDS,
            shutdown_timeout=_STOP_SECONDS,
        )

    async def start(self, host: str | None, port: int) -> int:
        """Listen; returns the port, which is chosen when `port` is 0. OSError.

        Until `use`, connections fail in their handshake.
        """
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, host, port, ssl_context=self._tls, backlog=512, reuse_address=True
        )
        await site.start()
        return int(self._runner.addresses[0][1])

    def use(self, pair: Pair) -> None:
        """Show this certificate from now on; connections that are open stay.

        Only on the loop's thread: no handshake happens between certificate and key.
        """
        if pair == self._pair:
            return
        with _readable(pair.certificate) as certificate, _readable(pair.key) as key:
            self._tls.load_cert_chain(certificate, key)
        self._pair = pair

    async def stop(self) -> None:
        """Finish what was asked, and listen no more."""
        await self._runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _review(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            response = web.Response(status=408, text="the request did not come to its end\n")
            response.force_close()
            return response
        try:
            review = await self._reviewers[request.path[1:]](json.loads(body))
        except (ValueError, RecursionError) as error:
            reason = error if isinstance(error, MalformedReview) else "no JSON"
            log.warning("a request made no sense: %s", reason)
            return web.Response(status=400, text=f"{reason}\n")
        return web.json_response(review)


def _of_pods(way: Way, current: Current) -> Reviewer:
    async def review(asked: object) -> Answer:
        return answer(asked, way, current)

    return review


@contextlib.contextmanager
def _readable(content: bytes) -> Iterator[str]:
    """A name under which OpenSSL reads it; keys are never written to a disk."""
    handle = os.memfd_create("mmsnap", os.MFD_CLOEXEC)
    try:
        os.write(handle, content)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
