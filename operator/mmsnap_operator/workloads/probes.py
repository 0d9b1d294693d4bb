"""How long a pause the probes of pods bear.

The kubelet asks a frozen program every `periodSeconds` and gives up on each answer after
`timeoutSeconds`. At the worst the first question comes as the pause begins; so `failureThreshold`
of them fail when the pause is not shorter than `timeoutSeconds + (failureThreshold - 1) *
periodSeconds`. Startup probes are left out: they ask programs that have only begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.workloads.finding import Finding, Weight, named
from mmsnap_operator.workloads.pods import captured_containers

Manifest = Mapping[str, Any]

# Three members with their memory full, on one node of two cores, stand still for half a second.
TYPICAL_PAUSE_MS: Final = 1000
_LIVENESS: Final = "livenessProbe"
_READINESS: Final = "readinessProbe"
_FATES: Final = {_LIVENESS: "would restart its container", _READINESS: "would take it as not ready"}


def borne_ms(probe: Manifest) -> int:
    """The shortest pause that this probe may fail of, with the API server's defaults."""
    timeout_seconds = probe.get("timeoutSeconds") or 1
    period_seconds = probe.get("periodSeconds") or 10
    threshold = probe.get("failureThreshold") or 3
    return 1000 * (timeout_seconds + (threshold - 1) * period_seconds)


def pause_of(maximum_ms: int | None) -> int:
    """The pause to reckon with: what the request allows, else what is typical."""
    return TYPICAL_PAUSE_MS if maximum_ms is None else maximum_ms


def loses_readiness(pod: Manifest, pause_ms: int) -> bool:
    """Whether its Service may leave it out during such a pause, or its container be restarted."""
    return any(
        borne_ms(container[kind]) <= pause_ms
        for container in captured_containers(pod)
        for kind in _FATES
        if container.get(kind)
    )


def check_probes(pods: Sequence[Manifest], maximum_ms: int | None) -> list[Finding]:
    """A warning: the pause may well be shorter than it is allowed to be."""
    pause_ms = pause_of(maximum_ms)
    pause = f"a pause of {pause_ms} ms" + ("" if maximum_ms is not None else " (a typical one)")
    found: dict[tuple[str, str, int], list[str]] = {}
    for pod in pods:
        for container in captured_containers(pod):
            for kind in _FATES:
                probe = container.get(kind)
                if probe and borne_ms(probe) <= pause_ms:
                    known = (kind, container["name"], borne_ms(probe))
                    found.setdefault(known, []).append(pod["metadata"]["name"])
    return [
        Finding(
            "ProbeShorterThanPause",
            f"the {kind} of container {container} in {named(names)} bears {bears_ms} ms: {pause} "
            f"{_FATES[kind]}. Raise its failureThreshold or timeoutSeconds, or lower "
            "maxPauseMilliseconds",
            Weight.WARNING,
        )
        for (kind, container, bears_ms), names in found.items()
    ]
