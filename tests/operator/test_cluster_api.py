"""What goes over the wire to the API server."""

from __future__ import annotations

import asyncio
from typing import Any

import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mmsnap_operator.cluster import Api, ApiError, kinds

VERSION = "7"


async def delete(request: web.Request) -> web.Response:
    """As an API server does: not one of another version than is said."""
    options: dict[str, Any] = await request.json()
    wanted = options.get("preconditions", {}).get("resourceVersion", VERSION)
    assert request.path.endswith("/namespaces/demo/checkpoints/hz-1")
    if wanted != VERSION:
        return web.json_response({"message": "the object has been modified"}, status=409)
    return web.json_response({})


async def deleted(*version: str) -> bool:
    app = web.Application()
    app.router.add_delete("/{path:.*}", delete)
    async with TestServer(app) as server:
        api = Api(kopf.ConnectionInfo(server=str(server.make_url("/"))))
        try:
            return await api.delete(kinds.CHECKPOINT, "hz-1", "demo", *version)
        finally:
            await api.close()


def test_an_object_is_deleted_only_as_it_was_seen() -> None:
    assert asyncio.run(deleted())
    assert asyncio.run(deleted(VERSION))
    with pytest.raises(ApiError) as refused:
        asyncio.run(deleted("6"))
    assert refused.value.status == 409
