"""Makes the volumes of the storage class `standard`: a folder on the node that the pod was put on.

A claim is served when the scheduler has chosen a node for its first pod; a volume whose claim is
gone is removed with its folder. It asks twice a second rather than watching, which is the least
that is right; it knows no sizes and keeps no quota. Runs as `python -m tests.cluster.provisioner`.
"""

from __future__ import annotations

import json
import logging
import shutil
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from tests.cluster.keys import API_SERVER

NAME: Final = "tests.mmsnap/folder"
_FOLDERS: Final = "var/lib/volumes"
_CHOSEN_NODE: Final = "volume.kubernetes.io/selected-node"
_CHOSEN_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
_PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
_SECONDS: Final = 0.5

log = logging.getLogger(__name__)


class Provisioner:
    """`nodes` holds a folder for every node, its disk among it."""

    def __init__(self, keys: Path, nodes: Path) -> None:
        self._nodes = nodes
        self._tls = ssl.create_default_context(cafile=str(keys / "ca.crt"))
        self._tls.load_cert_chain(keys / "provisioner.crt", keys / "provisioner.key")

    def work(self) -> None:
        """One round: every claim that waits, every volume that was let go."""
        volumes = self._ask("GET", "persistentvolumes")["items"]
        have = {each["metadata"]["name"] for each in volumes}
        for claim in self._ask("GET", "persistentvolumeclaims")["items"]:
            notes = claim["metadata"].get("annotations", {})
            ours = notes.get(_CHOSEN_PROVISIONER) == NAME and _CHOSEN_NODE in notes
            name = f"pvc-{claim['metadata']['uid']}"
            if ours and "volumeName" not in claim["spec"] and name not in have:
                self._make(name, claim, notes[_CHOSEN_NODE])
        for volume in volumes:
            ours = volume["metadata"].get("annotations", {}).get(_PROVISIONED_BY) == NAME
            wanted = volume["spec"]["persistentVolumeReclaimPolicy"] != "Delete"
            if ours and not wanted and volume["status"]["phase"] == "Released":
                self._remove(volume)

    def _make(self, name: str, claim: dict[str, Any], node: str) -> None:
        folder = self._folder(node, name)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        spec, whose = claim["spec"], claim["metadata"]
        here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {_PROVISIONED_BY: NAME}},
            "spec": {
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "accessModes": spec["accessModes"],
                "storageClassName": spec["storageClassName"],
                "persistentVolumeReclaimPolicy": "Delete",
                "local": {"path": f"/{_FOLDERS}/{name}"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    **{field: whose[field] for field in ("namespace", "name", "uid")},
                },
            },
        }
        self._ask("POST", "persistentvolumes", volume)
        log.info("%s on %s for %s/%s", name, node, whose["namespace"], whose["name"])

    def _remove(self, volume: dict[str, Any]) -> None:
        name = volume["metadata"]["name"]
        term = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]
        folder = self._folder(term["matchExpressions"][0]["values"][0], name)
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            return  # still in use, or being written: the next round
        self._ask("DELETE", f"persistentvolumes/{name}")
        log.info("%s removed", name)

    def _folder(self, node: str, name: str) -> Path:
        return self._nodes / node / "disk" / _FOLDERS / name

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{API_SERVER}/api/v1/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10, context=self._tls) as reply:
            told: dict[str, Any] = json.load(reply)
            return told


def main(keys: str, nodes: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    provisioner = Provisioner(Path(keys), Path(nodes))
    told = ""
    while True:
        try:
            provisioner.work()
            told = ""
        except (OSError, KeyError) as error:  # the API server is away, or not yet ready
            if str(error) != told:
                log.warning("%s", error)
            told = str(error)
        time.sleep(_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
