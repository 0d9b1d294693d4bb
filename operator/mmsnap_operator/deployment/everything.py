"""All objects of a MemoryMachine, in the order in which they are applied."""

from __future__ import annotations

from mmsnap_operator.configuration import Configuration
from mmsnap_operator.deployment import agents, etcd
from mmsnap_operator.deployment.context import Context, Manifest


def base_objects(context: Context, configuration: Configuration) -> list[Manifest]:
    """What neither runs nor waits for anything."""
    return [
        agents.service_account(context),
        agents.settings(context, configuration),
        agents.csi_driver(context),
    ]


def etcd_objects(context: Context, configuration: Configuration) -> list[Manifest]:
    """etcd, unless one exists."""
    wanted = configuration.etcd
    if wanted is None:
        return []
    return [
        etcd.service_account(context),
        etcd.service(context, wanted),
        etcd.disruption_budget(context),
        etcd.stateful_set(context, wanted),
    ]


def agents_objects(context: Context, configuration: Configuration) -> list[Manifest]:
    """The agents; they need etcd, and certificates."""
    return [agents.daemon_set(context, configuration)]
