"""`mmagentConfig` and `mmctlConfig`: the service of each node, and the Management Center.

Both sections have the same fields. There is no Management Center here, so all of the second one
means nothing; of the first one, what a service that is managed by Kubernetes can honour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from mmsnap_operator.fields.field import (
    LOG_LEVELS,
    UNSET,
    Field,
    flag,
    number,
    path,
    port,
    section,
    text,
)

_NO_CENTER: Final = "there is no Management Center; mmsnap ps, usage and watch show what it showed"
_NO_LICENSE: Final = "mmsnap needs no license"
_POD_LOG: Final = "the log is the pod's: kubectl logs; the kubelet keeps and rotates it"
_PROMETHEUS: Final = "counts are served as they are; Prometheus keeps their history"
_NO_LIBRARY: Final = "no library is preloaded into programs"
_KUBERNETES_PULLS: Final = "images are pulled by Kubernetes, with imagePullSecret"
_OPERATOR_CERTIFIES: Final = "the operator issues the nodes' certificates and renews them"

_METRIC_HISTORY: Final = (
    "collectInterval", "lv2Interval", "lv2retention", "lv3Interval", "lv3retention",
    "metricsRetention", "queryRange", "realtimeInterval", "recoverTimeout", "recovery",
    "retireInterval",
)  # fmt: skip

_LOG: Final = section(
    "log",
    text("file", "", ignored=_POD_LOG),
    text(
        "level",
        "info",
        bounds={"enum": list(LOG_LEVELS)},
        honoured="the agents' --log-level",
    ),
    number("maxBackups", 10, ignored=_POD_LOG),
    number("maxSize", 10, ignored=_POD_LOG),
)

_METRIC: Final = section(
    "metric",
    flag("enabled", True, honoured="the agents' --metrics"),
    *(number(name, ignored=_PROMETHEUS) for name in _METRIC_HISTORY),
)

_MVMALLOC: Final = section(
    "mvmalloc",
    path("confDir", "/etc/memverge/config", ignored=_NO_LIBRARY),
    path("confFile", "/etc/memverge/mvmalloc.yml", ignored=_NO_LIBRARY),
    path("grpcSocket", "/tmp/libmvm/libmvm_sock", ignored=_NO_LIBRARY),
    path("installPath", "/opt/memverge", ignored="in pods it is /opt/memverge always"),
    text("libmvmLogLevel", "info", bounds={"enum": list(LOG_LEVELS)}, ignored=_NO_LIBRARY),
    number("lockWaitTime", ignored=_NO_LIBRARY),
    path("logPath", "/var/log/memverge", ignored=_POD_LOG),
    number("logRetainTime", ignored=_POD_LOG),
    port("port", 5678, ignored=_NO_LIBRARY),
    path("snapPath", ignored="checkpoints are in the pool, below localSharedPath"),
    path("socketPath", ignored="pods reach the agent through their volume at /run/mmsnap"),
    number("workerCount", 2, ignored=_NO_LIBRARY),
)

_REPOSITORY: Final = (
    section(
        "repoCredential",
        text("clientCertFile", ignored=_KUBERNETES_PULLS),
        text("clientKeyFile", ignored=_KUBERNETES_PULLS),
        text("password", ignored=_KUBERNETES_PULLS),
        text("username", ignored=_KUBERNETES_PULLS),
    ),
    text("repoName", ignored=_KUBERNETES_PULLS),
)

_SECURITY: Final = section(
    "security",
    number("cacheTTL", ignored=_OPERATOR_CERTIFIES),
    text("certificateFilename", ignored=_OPERATOR_CERTIFIES),
    text("certificateFolder", "/etc/memverge/", ignored=_OPERATOR_CERTIFIES),
    number("certificateValidFor", ignored=_OPERATOR_CERTIFIES),
)


def _ports(rpc_port: Field) -> tuple[Field, ...]:
    return (
        port(
            "httpPort",
            honoured="where the agents serve metrics, on the node's address",
        ),
        port("httpsPort", 8081, ignored=_NO_CENTER),
        text("ip", "0.0.0.0", ignored="each agent listens on its node's own address"),
        flag("licenseServerMode", True, ignored=_NO_LICENSE),
        _LOG,
        _METRIC,
        _MVMALLOC,
        *_REPOSITORY,
        rpc_port,
        _SECURITY,
        text("serverAddr", ignored=_NO_CENTER),
        path("staticFilePath", ignored=_NO_CENTER),
    )


def _all(change: Callable[[Field], Field], field: Field) -> Field:
    if not field.children:
        return change(field)
    return replace(field, children=tuple(_all(change, child) for child in field.children))


def _without_center(field: Field) -> Field:
    return replace(field, honoured="", ignored=_NO_CENTER)


def _section(name: str, rpc_port: Field, default: Any = UNSET) -> Field:
    return section(name, *_ports(rpc_port), default=default)


AGENT: Final = _section(
    "mmagentConfig",
    port("rpcPort", 9527, honoured="where the agents serve each other and clients"),
    {"rpcPort": 9527},
)
CENTER: Final = _all(
    _without_center, _section("mmctlConfig", port("rpcPort", 9527), {"httpsPort": 8081})
)
