"""The specification of a MemoryMachine: its top, with the sections that are short."""

from __future__ import annotations

from typing import Final

from mmsnap_operator.fields.agent import AGENT, CENTER
from mmsnap_operator.fields.field import PORT, Field, flag, number, path, port, section, text
from mmsnap_operator.fields.malloc import MALLOC

_ONE_SOCKET: Final = "the agent's socket is agent.sock below localSharedPath"
_POD_LOG: Final = "the log is the pod's: kubectl logs"
_NO_LICENSE: Final = "mmsnap needs no license"
_A_FOLDER: Final = "a pool is a folder below localSharedPath, made by mmsnap node prepare"
_DEBUG: Final = "the agents' --log-level debug"
_IMAGE_NAME: Final = "^[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?$"
_TAG: Final = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
_OBJECT_NAME: Final = "^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"
_ENDPOINT: Final = "(https?://)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:[0-9]{1,5}"
_FIXED: Final = [
    {
        "rule": "self == oldSelf",
        "message": "can not be changed: delete the MemoryMachine and make it anew",
    }
]

DAEMON: Final = section(
    "daemonConfig",
    text("devUUID", ignored=_A_FOLDER),
    path("dpmeSocketName", "/tmp/memverge/dpme_daemon.0", ignored=_ONE_SOCKET),
    flag("eventLog", ignored="mmsnap watch shows events", in_force=True),
    path("licensePath", ignored=_NO_LICENSE),
    path("logPath", ignored=_POD_LOG),
    flag("noDaemon", ignored="the agent is the foreground process of its pod", in_force=True),
    flag("persistOnClose", ignored="an application says so when it closes"),
    text("pmem", ignored=_A_FOLDER),
    flag("pmemEmulation", honoured="the same as pmemEmulation of the whole"),
    flag("trace", honoured=_DEBUG),
    default={"dpmeSocketName": "/tmp/memverge/dpme_daemon.0"},
)


ETCD: Final = section(
    "etcdConfig",
    port("clientPort", 2379, honoured="etcd's port for the agents"),
    number(
        "electionTimeout",
        1000,
        bounds={"minimum": 10, "maximum": 50000},
        honoured="etcd's election timeout, in milliseconds",
    ),
    number(
        "heartbeatInterval",
        100,
        bounds={"minimum": 1, "maximum": 10000},
        honoured="etcd's heartbeat interval, in milliseconds",
    ),
    text(
        "image",
        "k8s.gcr.io/etcd:3.4.13-0",
        bounds={"minLength": 1, "maxLength": 512, "pattern": "^[^\\s]+$"},
        honoured="etcd's image",
    ),
    Field(
        "peerPort",
        "integer",
        2380,
        bounds={**PORT, "x-kubernetes-validations": _FIXED},
        honoured="etcd's port for its members",
    ),
    number(
        "replicas",
        3,
        bounds={
            "minimum": 1,
            "maximum": 9,
            "x-kubernetes-validations": [
                {"rule": "self % 2 == 1", "message": "etcd needs an odd number of members"},
                *_FIXED,
            ],
        },
        honoured="etcd's members",
    ),
    text(
        "storageClass",
        "",
        bounds={
            "pattern": _OBJECT_NAME,
        },
        honoured="the class of etcd's volumes; empty: the cluster's default class",
    ),
    bounds={
        "x-kubernetes-validations": [
            {
                "rule": "self.electionTimeout >= 5 * self.heartbeatInterval",
                "message": "electionTimeout has to be at least five times heartbeatInterval",
            },
            {
                "rule": "self.clientPort != self.peerPort",
                "message": "clientPort and peerPort have to differ",
            },
        ]
    },
)

CONTAINER: Final = section(
    "mvcontainerConfig",
    text(
        "EtcdEndpoint",
        "memory-machine-etcd-service:2379",
        bounds={"pattern": f"^{_ENDPOINT}(,{_ENDPOINT})*$", "maxLength": 2048},
        honoured="an etcd that exists; none is made when it is not the default",
    ),
    text("LogPath", "/var/log/memverge/mvcontainer_log", ignored=_POD_LOG),
    flag("LogTrace", False, honoured=_DEBUG),
    number(
        "SnapshotReplicas",
        2,
        bounds={"minimum": 1, "maximum": 17},
        honoured="copies of each checkpoint in the cluster, its own node's counted",
    ),
)

SNAPSHOT_DAEMON: Final = section(
    "mvcsnapdConfig",
    path("DpmeSocket", "/tmp/memverge/dpme_daemon.0", ignored=_ONE_SOCKET),
    text("LogPath", "/var/log/memverge/mvcsnapd_log", ignored=_POD_LOG),
    flag("LogTrace", False, honoured=_DEBUG),
    text("ServiceAddress", "0.0.0.0", ignored="each agent listens on its node's own address"),
    port("ServicePort", 5679, ignored="the agent has one port, mmagentConfig.rpcPort"),
)

SERVICE_DAEMON: Final = section(
    "mvsvcdConfig",
    flag("Daemonize", ignored="the agent is the foreground process of its pod", in_force=False),
    flag("LogTrace", honoured=_DEBUG),
    path("SocketPath", "/tmp/libmvm/libmvm_sock", ignored=_ONE_SOCKET),
    default={"SocketPath": "/tmp/libmvm/libmvm_sock"},
)

SPEC: Final = section(
    "spec",
    text(
        "controlVersion",
        "latest",
        bounds={"pattern": _TAG},
        ignored="there is one image, of the version mmVersion",
    ),
    DAEMON,
    flag("enableSnapshot", False, ignored="checkpoints are always possible", in_force=True),
    ETCD,
    text(
        "imagePullSecret",
        "memverge-dockerconfig",
        bounds={"pattern": _OBJECT_NAME},
        honoured="what images are pulled with, if there is such a secret",
    ),
    text(
        "imageRepository",
        "ghcr.io/memverge",
        bounds={"pattern": _IMAGE_NAME, "maxLength": 255},
        honoured="where the image mmsnap is",
    ),
    text(
        "licenseFromSecret",
        "memory-machine-license",
        bounds={"pattern": _OBJECT_NAME},
        ignored=_NO_LICENSE,
    ),
    text(
        "localSharedPath",
        "/var/memverge",
        # The path of the members' socket below it has to fit in 107 bytes.
        bounds={"pattern": "^(/[A-Za-z0-9._-]*[A-Za-z0-9_-])+$", "maxLength": 64},
        honoured="the folder of the pool and the agent's socket on each node",
    ),
    text(
        "mmVersion",
        "latest",
        bounds={"pattern": _TAG},
        honoured="the version of the image, pulled where it is not there; latest is never upgraded",
    ),
    AGENT,
    CENTER,
    CONTAINER,
    SNAPSHOT_DAEMON,
    MALLOC,
    SERVICE_DAEMON,
    flag(
        "pmemEmulation",
        False,
        honoured="whether a pool may be on memory that ends with the machine",
    ),
    number("pmemNsPerNode", 1, ignored="a node has one pool"),
    Field(
        "podPrefixList",
        "array",
        bounds={
            "maxItems": 256,
            "items": {"type": "string", "pattern": "^[a-z0-9][a-z0-9.-]*$", "maxLength": 253},
        },
        honoured="pods whose names begin so are injected, where the namespace is enabled",
    ),
    number(
        "sharedVolumeGID", 1000, ignored="no folder is shared: each pod has a volume of its own"
    ),
    flag("useDevHugepages", False, ignored="a pool can not be on hugepages"),
)
