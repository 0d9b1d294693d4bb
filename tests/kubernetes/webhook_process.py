"""The webhook alone, as a process: what the operator has in it, without the rest of the operator.

Every connection is used once, so that each request has a handshake of its own, and says on its
output which certificates it shows.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from aiohttp import web
from cryptography import x509

from mmsnap_operator.certificates import Pair
from mmsnap_operator.cluster import Api
from mmsnap_operator.webhook.registration import ServicePlace
from mmsnap_operator.webhook.rotation import Lifetimes
from mmsnap_operator.webhook.server import WebhookServer
from mmsnap_operator.webhook.settings import Current, Settings
from mmsnap_operator.webhook.upkeep import Upkeep

IMAGE = "localhost/mmsnap:test"


class Talkative(WebhookServer):
    """Says what it shows."""

    def use(self, pair: Pair) -> None:
        if pair != self._pair:
            certificate = x509.load_pem_x509_certificate(pair.certificate)
            print("shows", certificate.serial_number, flush=True)
        super().use(pair)

    async def _review(self, request: web.Request) -> web.Response:
        response = await super()._review(request)
        response.force_close()
        return response


async def serve(namespace: str, service: str, port: int, seconds: list[float]) -> None:
    current = Current()
    current.tell(Settings(IMAGE, ("called-",)))
    api = Api.connect()
    server = Talkative(current)
    await server.start(None, port)
    lifetimes = Lifetimes(*(timedelta(seconds=one) for one in seconds)) if seconds else None
    place = ServicePlace(service, namespace)
    upkeep = Upkeep(api, server, current, place, namespace, lifetimes=lifetimes)
    await upkeep.keep()
    print("ready", flush=True)
    await upkeep.run()


if __name__ == "__main__":
    _, namespace, service, port, *rest = sys.argv
    asyncio.run(serve(namespace, service, int(port), [float(one) for one in rest]))
