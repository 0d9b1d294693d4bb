"""The Secret that the webhook's certificates are kept in, written and read."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mmsnap_operator.certificates import Pair
from mmsnap_operator.names import (
    AGENTS,
    COMPONENT_LABEL,
    MANAGED_BY_LABEL,
    NAME_LABEL,
    OPERATOR,
)
from mmsnap_operator.webhook.rotation import Authority, Certificates

SECRET: Final = "memory-machine-webhook-tls"
_BUNDLE: Final = "ca.crt"  # for people and their tools; nothing here reads it
_CERTIFICATE: Final = "tls.crt"
_KEY: Final = "tls.key"
_STATE: Final = "authorities.json"

Manifest = dict[str, Any]


def secret_of(certificates: Certificates, namespace: str, version: str | None) -> Manifest:
    """The Secret; `version` is the one that it replaces, and only that one."""
    state = {
        "since": certificates.since.isoformat(),
        "authorities": [
            {
                "certificate": authority.pair.certificate.decode(),
                "key": authority.pair.key.decode(),
                "announced": authority.announced and authority.announced.isoformat(),
            }
            for authority in certificates.authorities
        ],
    }
    data = {
        _BUNDLE: certificates.bundle,
        _CERTIFICATE: certificates.serving.certificate,
        _KEY: certificates.serving.key,
        _STATE: json.dumps(state).encode(),
    }
    labels = {NAME_LABEL: AGENTS, COMPONENT_LABEL: "webhook", MANAGED_BY_LABEL: OPERATOR}
    metadata = {"name": SECRET, "namespace": namespace, "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata | ({"resourceVersion": version} if version else {}),
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def certificates_of(secret: Mapping[str, Any]) -> Certificates:
    """What `secret_of` wrote; ValueError when somebody else did."""
    try:
        data = {key: base64.b64decode(value) for key, value in secret["data"].items()}
        state = json.loads(data[_STATE])
        certificates = Certificates(
            authorities=tuple(_authority(kept) for kept in state["authorities"]),
            serving=_whole(Pair(data[_CERTIFICATE], data[_KEY])),
            since=datetime.fromisoformat(state["since"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the Secret {SECRET} makes no sense: {error!r}") from error
    if not certificates.authorities:
        raise ValueError(f"the Secret {SECRET} has no authority")
    return certificates


def _authority(kept: Mapping[str, Any]) -> Authority:
    announced = kept["announced"]
    return Authority(
        _whole(Pair(kept["certificate"].encode(), kept["key"].encode())),
        announced and datetime.fromisoformat(announced),
    )


def _whole(pair: Pair) -> Pair:
    """ValueError when it is none."""
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    if load_pem_private_key(pair.key, None).public_key() != certificate.public_key():
        raise ValueError("a key that is another certificate's")
    return pair
