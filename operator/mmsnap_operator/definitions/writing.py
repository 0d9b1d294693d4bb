"""The definitions as files; `python -m mmsnap_operator crds` calls this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from mmsnap_operator.definitions.checkpointrequests import checkpoint_requests
from mmsnap_operator.definitions.checkpoints import checkpoints
from mmsnap_operator.definitions.checkpointschedules import checkpoint_schedules
from mmsnap_operator.definitions.memorymachines import memory_machines
from mmsnap_operator.definitions.restorerequests import restore_requests

_WRITTEN_BY: Final = "# Written by: python -m mmsnap_operator crds\n"
_DEFINED: Final = (
    memory_machines,
    checkpoint_requests,
    checkpoints,
    checkpoint_schedules,
    restore_requests,
)


def defined() -> list[dict[str, Any]]:
    """All definitions."""
    return [each() for each in _DEFINED]


def files() -> Mapping[str, str]:
    """The text of each manifest, by the name of its file."""
    return {
        f"{one['spec']['names']['plural']}.crd.yaml": _WRITTEN_BY + as_yaml(one)
        for one in defined()
    }


def write(folder: Path) -> list[Path]:
    """Write them into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in files().items():
        (folder / name).write_text(content)
        written.append(folder / name)
    return written


class _Plain(yaml.SafeDumper):
    """Without anchors: what is the same twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def as_yaml(manifest: Mapping[str, Any]) -> str:
    """A manifest as text."""
    return yaml.dump(dict(manifest), Dumper=_Plain, sort_keys=False, width=100)
