"""Errors over gRPC: mmsnap's own out of a service, and the same out of a client.

An error travels as a google.rpc.Status whose ErrorInfo names the class (reason)
and carries subject, hint, retryable and pid, so that a caller of the client
catches what a caller of the library would.
"""

from __future__ import annotations

from typing import Final, cast

import grpc
from google.rpc import (  # type: ignore[import-untyped]
    code_pb2,
    error_details_pb2,
    status_pb2,
)
from grpc_status import rpc_status

from mmsnap import errors

# What a call of the service may raise: MmsnapError, and what Python itself calls such errors.
Failure = errors.MmsnapError | ValueError | FileExistsError | PermissionError
FAILURES: Final = (errors.MmsnapError, ValueError, FileExistsError, PermissionError)

DOMAIN: Final = "mmsnap"
# What a status may carry at most; gRPC refuses more than 8 KiB of metadata.
_TEXT_MAX: Final = 1000

_CODES: Final[dict[type[Exception], int]] = {
    errors.CorruptionError: code_pb2.DATA_LOSS,
    errors.FormatVersionError: code_pb2.FAILED_PRECONDITION,
    errors.PoolFullError: code_pb2.RESOURCE_EXHAUSTED,
    errors.InUseError: code_pb2.ALREADY_EXISTS,
    errors.SchemaMismatchError: code_pb2.FAILED_PRECONDITION,
    errors.QuiesceTimeoutError: code_pb2.ABORTED,
    errors.PauseExceededError: code_pb2.ABORTED,
    errors.NotFoundError: code_pb2.NOT_FOUND,
    errors.ReadOnlyError: code_pb2.FAILED_PRECONDITION,
    errors.ForkedError: code_pb2.FAILED_PRECONDITION,
    errors.FencedError: code_pb2.ABORTED,
    errors.BusyError: code_pb2.ABORTED,
    errors.AbortedError: code_pb2.ABORTED,
    errors.AgentUnavailableError: code_pb2.UNAVAILABLE,
    errors.UnsupportedError: code_pb2.UNIMPLEMENTED,
    errors.MmsnapError: code_pb2.INTERNAL,
    ValueError: code_pb2.INVALID_ARGUMENT,
    FileExistsError: code_pb2.ALREADY_EXISTS,
    PermissionError: code_pb2.PERMISSION_DENIED,
}
_CLASSES: Final = {kind.__name__: kind for kind in _CODES}


def status_of(error: Failure) -> status_pb2.Status:
    """The status that carries `error` to a client."""
    kind = next(kind for kind in type(error).__mro__ if kind in _CODES)
    info = error_details_pb2.ErrorInfo(reason=kind.__name__, domain=DOMAIN)
    message = str(error)
    if isinstance(error, errors.MmsnapError):
        message = error.message
        info.metadata["subject"] = error.subject[:_TEXT_MAX]
        info.metadata["hint"] = error.hint[:_TEXT_MAX]
        info.metadata["retryable"] = "1" if error.retryable else ""
        if isinstance(error, errors.InUseError) and error.pid is not None:
            info.metadata["pid"] = str(error.pid)
    status = status_pb2.Status(code=_CODES[kind], message=message[:_TEXT_MAX])
    status.details.add().Pack(info)
    return status


def error_of(failure: grpc.RpcError, address: str) -> Failure:
    """The error that a failed call to the service at `address` means."""
    status = rpc_status.from_call(cast("grpc.Call", failure))
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status is not None else ():
        if detail.Unpack(info) and info.domain == DOMAIN and info.reason in _CLASSES:
            return _rebuilt(info, status.message)
    if failure.code() is grpc.StatusCode.UNAVAILABLE:
        return errors.AgentUnavailableError(
            f"the node service at {address} can not be reached",
            subject=address,
            hint="start it with mmsnap agent --pool DIR, or name another with --address or "
            "MMSNAP_ADDRESS",
        )
    if failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.AgentUnavailableError(
            f"the node service at {address} did not answer in time", subject=address
        )
    return errors.MmsnapError(
        f"the node service failed: {failure.details()}",
        subject=address,
        hint="its log says more",
    )


def _rebuilt(info: error_details_pb2.ErrorInfo, message: str) -> Failure:
    kind = _CLASSES[info.reason]
    if not issubclass(kind, errors.MmsnapError):
        return cast("Failure", kind(message))
    error = kind(
        message,
        subject=info.metadata["subject"],
        hint=info.metadata["hint"],
        retryable=bool(info.metadata["retryable"]),
    )
    if isinstance(error, errors.InUseError) and info.metadata["pid"]:
        error.pid = int(info.metadata["pid"])
    return error
