"""The secrets with certificates: read, added to where somebody lacks one, renewed before they end.

A certificate that is good stays; so a reconciliation changes nothing, and agents see their files
change only when they have to.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.certificates import Pair, Subject, is_authority, is_due, issue, new_authority
from mmsnap_operator.deployment import Context
from mmsnap_operator.deployment.agents import OPERATOR_CLIENT
from mmsnap_operator.names import (
    AUTHORITY_SECRET,
    CLIENT_SECRET,
    ETCD_SECRET,
    ETCD_SERVICE,
    NODES_SECRET,
)

Manifest = dict[str, Any]

COMPONENT: Final = "credentials"


def authority_secret(context: Context, found: Manifest | None, now: datetime.datetime) -> Manifest:
    """The authority's certificate and key: the one that is, else a new one."""
    pair = _pair(found, "ca")
    if pair is None or not is_authority(pair, now):
        pair = new_authority(now)
    return _secret(context, AUTHORITY_SECRET, {"ca.crt": pair.certificate, "ca.key": pair.key})


def authority_of(secret: Manifest) -> Pair:
    """The authority that is kept in its secret."""
    pair = _pair(secret, "ca")
    if pair is None:
        raise ValueError(f"the secret {AUTHORITY_SECRET} has no ca.crt and ca.key")
    return pair


def nodes_secret(
    context: Context,
    found: Manifest | None,
    authority: Pair,
    nodes: Sequence[Manifest],
    now: datetime.datetime,
) -> Manifest:
    """NODE.crt and NODE.key of every node, beside ca.crt."""
    data = {"ca.crt": authority.certificate}
    for node in nodes:
        name = node["metadata"]["name"]
        pair = _kept_or_issued(found, name, authority, _subject(node), now)
        data |= {f"{name}.crt": pair.certificate, f"{name}.key": pair.key}
    return _secret(context, NODES_SECRET, data)


def etcd_secret(
    context: Context, found: Manifest | None, authority: Pair, now: datetime.datetime
) -> Manifest:
    """One certificate for all members: each is reached by a name below the service's."""
    domain = f"{ETCD_SERVICE}.{context.namespace}.svc"
    subject = Subject(
        ETCD_SERVICE,
        (f"*.{domain}", f"*.{domain}.cluster.local", domain, "localhost"),
        ("127.0.0.1",),
    )
    return _one(context, ETCD_SECRET, found, authority, subject, now)


def client_secret(
    context: Context, found: Manifest | None, authority: Pair, now: datetime.datetime
) -> Manifest:
    """What the operator shows to agents, which know its name in their roles."""
    return _one(context, CLIENT_SECRET, found, authority, Subject(OPERATOR_CLIENT), now)


def nodes_with_certificates(secret: Manifest | None) -> list[str]:
    """The nodes that ever had an agent."""
    names = (secret or {}).get("data") or {}
    return sorted(name.removesuffix(".key") for name in names if name.endswith(".key"))


def _subject(node: Manifest) -> Subject:
    name = node["metadata"]["name"]
    told = node.get("status", {}).get("addresses", [])
    addresses = [one["address"] for one in told if one["type"] in ("InternalIP", "ExternalIP")]
    hosts = [one["address"] for one in told if one["type"] in ("Hostname", "InternalDNS")]
    return Subject(name, hosts, addresses)


def _one(
    context: Context,
    name: str,
    found: Manifest | None,
    authority: Pair,
    subject: Subject,
    now: datetime.datetime,
) -> Manifest:
    pair = _kept_or_issued(found, "tls", authority, subject, now)
    data = {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}
    return _secret(context, name, data)


def _kept_or_issued(
    found: Manifest | None, name: str, authority: Pair, subject: Subject, now: datetime.datetime
) -> Pair:
    kept = _pair(found, name)
    if kept is not None and not is_due(kept, authority, subject, now):
        return kept
    return issue(authority, subject, now)


def _pair(secret: Manifest | None, name: str) -> Pair | None:
    data: Mapping[str, str] = (secret or {}).get("data") or {}
    try:
        return Pair(
            base64.b64decode(data[f"{name}.crt"], validate=True),
            base64.b64decode(data[f"{name}.key"], validate=True),
        )
    except (KeyError, ValueError):
        return None


def _secret(context: Context, name: str, data: Mapping[str, bytes]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": context.metadata(name, COMPONENT),
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
