"""The files for kubectl: install.yaml, and what OpenShift needs besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from mmsnap_operator.definitions import as_yaml
from mmsnap_operator.installation import openshift
from mmsnap_operator.installation.objects import objects
from mmsnap_operator.installation.settings import Installation
from mmsnap_operator.installation.uninstalling import steps

_WRITTEN_BY: Final = "# Written by: python -m mmsnap_operator install\n"
_INSTALL: Final = (
    "# The operator of mmsnap, and all that it needs: kubectl apply --server-side -f install.yaml\n"
    "# Then a MemoryMachine there, like memorymachine.yaml.\n"
    + "".join(f"# {line}\n" for line in steps("kubectl delete -f install.yaml"))
)
_OPENSHIFT: Final = "# On OpenShift, before a MemoryMachine: oc apply -f openshift.yaml\n"


def files(wanted: Installation) -> Mapping[str, str]:
    """The text of each file, by its name."""
    return {
        "install.yaml": _WRITTEN_BY + _INSTALL + documents(objects(wanted)),
        "openshift.yaml": _WRITTEN_BY + _OPENSHIFT + documents(openshift.objects(wanted.namespace)),
    }


def write(folder: Path) -> list[Path]:
    """Write them into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in files(Installation()).items():
        (folder / name).write_text(content)
        written.append(folder / name)
    return written


def documents(manifests: Iterable[Mapping[str, Any]]) -> str:
    """Several manifests as one text."""
    return "---\n".join(as_yaml(manifest) for manifest in manifests)
