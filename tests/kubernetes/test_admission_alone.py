"""The fear: what is asked for without a MemoryMachine, or an operator, is let in unseen and carried
out by the next one; or an operator that is gone keeps people from clearing up."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.waiting import eventually
from tests.kubernetes.asking import Asking
from tests.kubernetes.operator_site import NAMESPACE, OperatorSite
from tests.kubernetes.pods_site import PodsSite

pytestmark = pytest.mark.timeout(600)

HERE = "asked-alone"


def test_without_a_memorymachine_no_request_is_taken_and_kept_for_the_next_one(
    cluster: Cluster,
) -> None:
    """Nobody could look whether its author may read what it names. What there is can be deleted."""
    operator = OperatorSite(cluster)
    operator.install()
    try:
        cluster.kubectl("create", "namespace", HERE)
        asking = Asking(PodsSite(operator), HERE)
        source = {"namespace": "elsewhere", "checkpointName": "shared"}
        clone = asking.restore("Clone", "copy", source=source)

        def is_looked_at() -> bool:
            """The API server hears of a webhook a moment after it is written down."""
            try:
                asking.ask("RestoreRequest", clone)
            except PermissionError as refusal:
                return "there is no MemoryMachine" in str(refusal)
            return False

        eventually(is_looked_at, "requests to be looked at", 30)
        told = asking.refused("RestoreRequest", clone)
        assert "apply one first" in told
        told = asking.refused("CheckpointRequest", asking.take("parallel"))
        assert "there is no MemoryMachine" in told

        place = ("-n", NAMESPACE, "deployment/memory-machine-operator")
        cluster.kubectl("scale", "--replicas=0", *place)
        label = "app.kubernetes.io/name=memory-machine-operator"
        cluster.wait_for(f"pod -l {label}", "delete", namespace=NAMESPACE, seconds=60)
        told = asking.refused("RestoreRequest", clone)
        assert "requests.mmsnap.memverge.com" in told
        cluster.kubectl("delete", "namespace", HERE, seconds=60)
    finally:
        cluster.kubectl("delete", "namespace", HERE, "--ignore-not-found", seconds=60)
        operator.uninstall()
