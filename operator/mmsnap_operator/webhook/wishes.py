"""The annotations of a pod by which people say what they want captured, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmsnap_operator.webhook.refusals import Refusal

_PREFIX: Final = "memory-machine.memverge.com/"
ASKED: Final = f"{_PREFIX}inject-env"
CONTAINERS: Final = f"{_PREFIX}containers"
ENGINE: Final = f"{_PREFIX}engine"
ON_LOSS: Final = f"{_PREFIX}on-loss"
PROFILE: Final = f"{_PREFIX}profile"
WRAP: Final = f"{_PREFIX}wrap"
COMMAND: Final = f"{_PREFIX}command."

YES: Final = "yes"
NO: Final = "no"
PROCESS: Final = "process"
MEMORY: Final = "memory"
_ENGINES: Final = (PROCESS, MEMORY)
_LOSSES: Final = ("rollback", "wait", "fresh")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a pod's annotations say; None or empty: nothing.

    Attributes:
        wrap: containers whose command the node is to wrap.
        commands: by container, what its image would have started.
    """

    containers: tuple[str, ...] | None
    engine: str | None
    on_loss: str | None
    profile: str | None
    wrap: tuple[str, ...]
    commands: Mapping[str, Sequence[str]]


def wishes_of(pod: Mapping[str, Any]) -> Wishes:
    """Reads the annotations; Refusal when one makes no sense."""
    given: Mapping[str, str] = pod["metadata"].get("annotations") or {}
    names = [container["name"] for container in pod["spec"]["containers"]]
    return Wishes(
        containers=_listed(CONTAINERS, given[CONTAINERS], names) if CONTAINERS in given else None,
        engine=_chosen(ENGINE, given.get(ENGINE), _ENGINES),
        on_loss=_chosen(ON_LOSS, given.get(ON_LOSS), _LOSSES),
        profile=_profile(given.get(PROFILE)),
        wrap=_listed(WRAP, given[WRAP], names) if WRAP in given else (),
        commands={
            key.removeprefix(COMMAND): _command(key, value, names)
            for key, value in given.items()
            if key.startswith(COMMAND)
        },
    )


def check_engine(where: str, engine: str) -> str:
    """The engine, or Refusal."""
    if engine not in _ENGINES:
        raise Refusal(f"{where} is {engine!r}: write {_either(_ENGINES)}")
    return engine


def _listed(key: str, value: str, names: Sequence[str]) -> tuple[str, ...]:
    """In the order of the pod's containers, whatever order they are listed in."""
    listed = {part.strip() for part in value.split(",")} - {""}
    if not listed:
        raise Refusal(f"annotation {key} names no container: list some, or leave it out")
    for name in sorted(listed):
        _require_container(key, name, names)
    return tuple(name for name in names if name in listed)


def _chosen(key: str, value: str | None, allowed: Sequence[str]) -> str | None:
    if value is not None and value not in allowed:
        raise Refusal(f"annotation {key} is {value!r}: write {_either(allowed)}")
    return value


def _profile(value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise Refusal(f"annotation {PROFILE} is empty: name a profile, or leave it out")
    return value


def _command(key: str, value: str, names: Sequence[str]) -> Sequence[str]:
    _require_container(key, key.removeprefix(COMMAND), names)
    try:
        words = json.loads(value)
    except (ValueError, RecursionError):
        words = None
    if not (isinstance(words, list) and words and all(isinstance(word, str) for word in words)):
        raise Refusal(f'annotation {key} is no JSON list of words, like ["redis-server", "--save"]')
    return words


def _require_container(key: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise Refusal(f"annotation {key}: the pod has no container {name!r}, but {_and(names)}")


def _either(words: Sequence[str]) -> str:
    return " or ".join(f'"{word}"' for word in words)


def _and(words: Sequence[str]) -> str:
    return ", ".join(words)
