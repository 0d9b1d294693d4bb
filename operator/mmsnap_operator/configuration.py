"""A specification, read: defaults filled in from the table of fields, and what follows from it.

Nothing is validated here; the API server did, by the schema that is made from the same table.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmsnap_operator.fields import SPEC, STATUS, UNSET, Field
from mmsnap_operator.names import ETCD, ETCD_SERVICE, IMAGE

_METRICS_PORT: Final = 9464
_LEVELS: Final[Mapping[str, str]] = {"trace": "debug", "warn": "warning"}
_TRACES: Final = (
    ("daemonConfig", "trace"),
    ("mvcontainerConfig", "LogTrace"),
    ("mvcsnapdConfig", "LogTrace"),
    ("mvsvcdConfig", "LogTrace"),
)


@dataclass(frozen=True, slots=True)
class Etcd:
    """The etcd to be made; `storage_class` empty: the cluster's default one."""

    image: str
    replicas: int
    storage_class: str
    client_port: int
    peer_port: int
    heartbeat_ms: int
    election_ms: int

    def members(self, namespace: str) -> list[str]:
        """The host names of its members."""
        domain = f"{ETCD_SERVICE}.{namespace}.svc"
        return [f"{ETCD}-{number}.{domain}" for number in range(self.replicas)]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where agents serve them; `host` empty: on the node's address."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a MemoryMachine asks for.

    Attributes:
        etcd: what is to be made; None: `etcd_endpoints` exist.
        replicas: copies of a checkpoint on other nodes than its own.
        values: every field with its value, also those that mean nothing here.
    """

    image: str
    pull_secret: str
    shared_folder: str
    rpc_port: int
    metrics: Metrics | None
    log_level: str
    replicas: int
    pmem_emulation: bool
    pod_prefixes: tuple[str, ...]
    etcd: Etcd | None
    etcd_endpoints: tuple[str, ...]
    values: Mapping[str, Any]

    def mirrored(self) -> dict[str, Any]:
        """The part of the values that the status shows."""
        names = [field.name for field in STATUS.children]
        return {name: copy.deepcopy(self.values[name]) for name in names if name in self.values}


def read(spec: Mapping[str, Any], namespace: str) -> Configuration:
    """What the specification of a MemoryMachine in this namespace asks for."""
    values = with_defaults(SPEC, spec)
    agent = values["mmagentConfig"]
    etcd, endpoints = _etcd(values, namespace)
    return Configuration(
        image=f"{values['imageRepository']}/{IMAGE}:{values['mmVersion']}",
        pull_secret=values["imagePullSecret"],
        shared_folder=values["localSharedPath"],
        rpc_port=agent["rpcPort"],
        metrics=_metrics(agent),
        log_level=_log_level(values),
        replicas=max(0, values["mvcontainerConfig"]["SnapshotReplicas"] - 1),
        pmem_emulation=values["pmemEmulation"] or bool(values["daemonConfig"].get("pmemEmulation")),
        pod_prefixes=tuple(values.get("podPrefixList") or ()),
        etcd=etcd,
        etcd_endpoints=tuple(endpoints),
        values=values,
    )


def with_defaults(field: Field, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values of a section, with those of all fields that have a default."""
    values = dict(given)
    for child in field.children:
        if child.kind == "object":
            values[child.name] = with_defaults(child, given.get(child.name) or {})
        elif values.get(child.name) is None:
            values.pop(child.name, None)
            if child.default is not UNSET:
                values[child.name] = child.default
    return values


def _metrics(agent: Mapping[str, Any]) -> Metrics | None:
    """On the node itself, unless a port is given: whoever reaches it may read them."""
    if not agent["metric"]["enabled"]:
        return None
    port = agent.get("httpPort")
    return Metrics("127.0.0.1", _METRICS_PORT) if port is None else Metrics("", port)


def _log_level(values: Mapping[str, Any]) -> str:
    if any(values[section].get(name) for section, name in _TRACES):
        return "debug"
    level = values["mmagentConfig"]["log"]["level"]
    return _LEVELS.get(level, level)


def _etcd(values: Mapping[str, Any], namespace: str) -> tuple[Etcd | None, Sequence[str]]:
    endpoint: str = values["mvcontainerConfig"]["EtcdEndpoint"]
    if not _is_ours(endpoint, namespace):
        return None, [_url(part) for part in endpoint.split(",")]
    given = values["etcdConfig"]
    etcd = Etcd(
        image=given["image"],
        replicas=given["replicas"],
        storage_class=given["storageClass"],
        client_port=given["clientPort"],
        peer_port=given["peerPort"],
        heartbeat_ms=given["heartbeatInterval"],
        election_ms=given["electionTimeout"],
    )
    return etcd, [f"https://{member}:{etcd.client_port}" for member in etcd.members(namespace)]


def _is_ours(endpoint: str, namespace: str) -> bool:
    """Whether it is the service that would be made here, whatever port it names."""
    host = _url(endpoint).split("://", 1)[1].rpartition(":")[0]
    ours = f"{ETCD_SERVICE}.{namespace}"
    return host in (ETCD_SERVICE, ours, f"{ours}.svc", f"{ours}.svc.cluster.local")


def _url(endpoint: str) -> str:
    return endpoint if "://" in endpoint else f"http://{endpoint}"
