"""How a method of the service becomes one of gRPC: who may call it, and how its errors leave."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

from grpc_status import rpc_status

from mmsnap.node.callers import Context
from mmsnap.rpc import failures

_Request = TypeVar("_Request")
_Reply = TypeVar("_Reply")
_Servicer = TypeVar("_Servicer", bound="Guarded")


class Guarded(Protocol):
    """A service that says who may call what."""

    def require(self, method: str, request: Any, context: Context) -> None:
        """PermissionError when the caller may not."""


async def abort(context: Context, error: failures.Failure) -> None:
    """Ends a call with a rich status."""
    status = rpc_status.to_status(failures.status_of(error))
    await context.abort(status.code, status.details, status.trailing_metadata)


def unary(
    method: Callable[[_Servicer, _Request], Awaitable[_Reply]],
) -> Callable[[_Servicer, _Request, Context], Awaitable[_Reply]]:
    """A method of the service that raises what a library call would."""

    @functools.wraps(method)
    async def call(self: _Servicer, request: _Request, context: Context) -> _Reply:
        try:
            self.require(method.__name__, request, context)
            return await method(self, request)
        except failures.FAILURES as error:
            await abort(context, error)
            raise

    return call


def streaming(
    method: Callable[[_Servicer, _Request], AsyncIterator[_Reply]],
) -> Callable[[_Servicer, _Request, Context], AsyncIterator[_Reply]]:
    """The same for a method that answers with a stream."""

    @functools.wraps(method)
    async def call(self: _Servicer, request: _Request, context: Context) -> AsyncIterator[_Reply]:
        try:
            self.require(method.__name__, request, context)
            async for reply in method(self, request):
                yield reply
        except failures.FAILURES as error:
            await abort(context, error)

    return call
