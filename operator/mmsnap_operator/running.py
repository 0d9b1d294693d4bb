"""The operator as a process: logging, and the loop that kopf runs in until SIGTERM."""

from __future__ import annotations

import asyncio
import logging

import kopf

from mmsnap_operator.handlers import Handlers
from mmsnap_operator.schedules.handlers import ScheduleHandlers
from mmsnap_operator.surroundings import Surroundings

log = logging.getLogger(__name__)


def run(health: str, surroundings: Surroundings, log_level: str = "INFO") -> None:
    """Keep the cluster as its MemoryMachines say; returns on SIGTERM and SIGINT.

    Args:
        health: the URL where Kubernetes asks whether the operator lives.
        log_level: what is less than this is not told.
    """
    kopf.configure(log_format=kopf.LogFormat.JSON)
    logging.getLogger().setLevel(log_level)
    # kopf tells of every event that it handled well.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    registry = kopf.OperatorRegistry()
    Handlers(registry, surroundings)
    ScheduleHandlers(registry, surroundings.namespace)
    asyncio.run(
        kopf.operator(
            registry=registry, clusterwide=True, standalone=True, liveness_endpoint=health
        )
    )
