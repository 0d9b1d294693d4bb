"""Volume claims that members write to: files there go on while the memory is rolled back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmsnap_operator.workloads.finding import Finding, named
from mmsnap_operator.workloads.pods import captured_containers

Manifest = Mapping[str, Any]


def check_claims(pods: Sequence[Manifest], ignored: bool) -> list[Finding]:
    """Refused, unless the request says that what is in them may be newer than the memory."""
    if ignored:
        return []
    found: dict[str, list[str]] = {}
    for pod in pods:
        for where in _written(pod):
            found.setdefault(where, []).append(pod["metadata"]["name"])
    return [
        Finding(
            "WritableVolume",
            f"{named(names)} mount{'s' if len(names) == 1 else ''} {where} for writing, which no "
            "checkpoint has: after a restore the files there would be newer than the memory. Say "
            "volumes: Ignore when that does no harm, or mount it readOnly",
        )
        for where, names in found.items()
    ]


def _written(pod: Manifest) -> Iterator[str]:
    """Members' mounts, each once; what only other containers mount is not looked at."""
    claims = {
        volume["name"]
        for volume in pod["spec"].get("volumes") or ()
        if "ephemeral" in volume
        or ("persistentVolumeClaim" in volume and not _read_only(volume["persistentVolumeClaim"]))
    }
    seen: set[str] = set()
    for container in captured_containers(pod):
        for mount in container.get("volumeMounts") or ():
            name = mount["name"]
            if name in claims - seen and not _read_only(mount):
                seen.add(name)
                yield f"the volume claim {name} (at {mount['mountPath']})"
        for device in container.get("volumeDevices") or ():
            if device["name"] in claims - seen:
                seen.add(device["name"])
                yield f"the volume claim {device['name']} (the device {device['devicePath']})"


def _read_only(mount: Manifest) -> bool:
    return bool(mount.get("readOnly"))
