"""The verbs: get, list, apply, patch a status, delete.

kopf watches and calls the handlers; what they do goes through here, because kopf has no public way
to apply on the server's side, which is how several writers keep an object together.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import kopf

from mmsnap_operator.cluster.kinds import Kind, kind_of
from mmsnap_operator.names import FIELD_MANAGER

Manifest = dict[str, Any]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_TOKEN_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404


class ApiError(Exception):
    """The API server refused.

    Attributes:
        status: of HTTP.
        message: its own words.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{message} ({status})")
        self.status = status
        self.message = message

    @property
    def is_about_roles(self) -> bool:
        """No role allows it: what an API server that has just started says of whatever there is.

        A quota or a webhook forbids in other words.
        """
        return self.status == _FORBIDDEN and ': User "' in self.message


class Api:
    """A connection to the API server, of one event loop."""

    def __init__(self, connection: kopf.ConnectionInfo) -> None:
        """Nothing is sent yet."""
        self._connection = connection
        self._server = connection.server.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_trust(connection)), timeout=_TIMEOUT
        )

    @classmethod
    def connect(cls) -> Api:
        """As the service account of this pod, else as the kubeconfig says; LookupError."""
        settings = kopf.OperatorSettings()
        connection = kopf.login_with_service_account(
            settings=settings
        ) or kopf.login_with_kubeconfig(settings=settings)
        if connection is None:
            raise LookupError("neither a service account nor a kubeconfig is here")
        return cls(connection)

    async def close(self) -> None:
        await self._session.close()

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest | None:
        """An object; None: there is none."""
        try:
            return await self._ask("GET", _place(kind, namespace, name))
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def list(
        self, kind: Kind, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> Sequence[Manifest]:
        """All objects of a kind with these labels; no namespace: of all of them."""
        wanted = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        params = {"labelSelector": wanted} if wanted else {}
        found: Sequence[Manifest] = (await self._ask("GET", kind.path(namespace), params))["items"]
        return found

    async def apply(self, manifest: Mapping[str, Any]) -> Manifest:
        """Let an object be so; what the operator said of it before and says no more is dropped."""
        metadata = manifest["metadata"]
        path = kind_of(manifest).path(metadata.get("namespace", ""), metadata["name"])
        params = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._ask("PATCH", path, params, manifest, "application/apply-patch+yaml")

    async def create(self, manifest: Mapping[str, Any]) -> Manifest:
        """A new object; ApiError 409 when there is one of this name."""
        path = kind_of(manifest).path(manifest["metadata"].get("namespace", ""))
        return await self._ask("POST", path, {}, manifest, "application/json")

    async def patch(
        self, kind: Kind, name: str, namespace: str, patch: Mapping[str, Any], part: str = ""
    ) -> Manifest:
        """Change some fields; `part` may be "status"."""
        path = _place(kind, namespace, name) + (f"/{part}" if part else "")
        return await self._ask("PATCH", path, {}, patch, "application/merge-patch+json")

    async def delete(self, kind: Kind, name: str, namespace: str = "", version: str = "") -> bool:
        """Delete an object, and what it owns; False: there is none.

        With `version` only as it was then; ApiError 409 when it was changed since.
        """
        options: Manifest = {"propagationPolicy": "Background"}
        if version:
            options["preconditions"] = {"resourceVersion": version}
        try:
            path = _place(kind, namespace, name)
            await self._ask("DELETE", path, {}, options, "application/json")
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True

    async def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "",
    ) -> Manifest:
        headers = {"Accept": "application/json", **self._authorization()}
        if content_type:
            headers["Content-Type"] = content_type
        async with self._session.request(
            method,
            self._server + path,
            params=params or {},
            data=None if body is None else json.dumps(body),
            headers=headers,
        ) as response:
            text = await response.text()
            if not response.ok:
                raise ApiError(response.status, _words(text))
            answer: Manifest = json.loads(text)
            return answer

    def _authorization(self) -> dict[str, str]:
        known = self._connection
        if known.token is None:
            return {}
        # The kubelet renews the token of a pod in its file.
        token = _TOKEN_FILE.read_text().strip() if _TOKEN_FILE.exists() else known.token
        return {"Authorization": f"{known.scheme or 'Bearer'} {token}"}


def _place(kind: Kind, namespace: str, name: str) -> str:
    """Of one object; without a name it would be that of all of them."""
    if not name:
        raise ValueError(f"a {kind.name} without a name")
    return kind.path(namespace, name)


def _words(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:500]


def _trust(connection: kopf.ConnectionInfo) -> ssl.SSLContext:
    data = connection.ca_data
    context = ssl.create_default_context(
        cafile=connection.ca_path,
        cadata=None if data is None else base64.b64decode(data).decode(),
    )
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if connection.certificate_path and connection.private_key_path:
        context.load_cert_chain(connection.certificate_path, connection.private_key_path)
    elif connection.certificate_data and connection.private_key_data:
        _load_chain(context, connection.certificate_data, connection.private_key_data)
    return context


def _load_chain(context: ssl.SSLContext, certificate: str | bytes, key: str | bytes) -> None:
    """From memory; the standard library reads files only."""
    with tempfile.NamedTemporaryFile() as file:
        for part in (certificate, key):
            file.write(base64.b64decode(part) + b"\n")
        file.flush()
        context.load_cert_chain(file.name)
