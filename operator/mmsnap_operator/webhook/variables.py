"""The environment of a container: what is added, where, and what has to be there already.

The kubelet puts the value of a variable in the place of $(NAME) only when that one stands further
up. Users' own variables rely on MM_POD_NAME, so it goes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mmsnap_operator.webhook.refusals import Refusal

Variable = dict[str, Any]

POD_NAME: Final = "MM_POD_NAME"
_OWN_NAME: Final = "metadata.name"


def with_variables(
    container: Mapping[str, Any], pod_name: str | None, wanted: Mapping[str, str]
) -> list[Variable]:
    """The container's variables, and these; Refusal when it says another value itself."""
    env: list[Variable] = list(container.get("env") or ())
    if not _positions(env, POD_NAME):
        field = {"fieldRef": {"apiVersion": "v1", "fieldPath": _OWN_NAME}}
        env.insert(0, {"name": POD_NAME, "valueFrom": field})
    for place in _positions(env, POD_NAME):
        _require_own_name(container["name"], env[place], pod_name)
    first = _positions(env, POD_NAME)[0]
    for name, value in wanted.items():
        for place in _positions(env, name):
            too_early = place < first and POD_NAME in value
            if env[place].get("value", "") != value or "valueFrom" in env[place] or too_early:
                raise Refusal(
                    f"container {container['name']} sets {name} itself, which has to be {value!r} "
                    f"here: leave it out"
                )
    missing = [
        {"name": name, "value": value}
        for name, value in wanted.items()
        if not _positions(env, name)
    ]
    return [*env[: first + 1], *missing, *env[first + 1 :]]


def value_of(container: Mapping[str, Any], name: str) -> str | None:
    """What the container sets it to; None: nothing."""
    env: Sequence[Mapping[str, Any]] = container.get("env") or ()
    places = _positions(env, name)
    return str(env[places[-1]].get("value", "")) if places else None


def _positions(env: Sequence[Mapping[str, Any]], name: str) -> list[int]:
    return [place for place, variable in enumerate(env) if variable["name"] == name]


def _require_own_name(container: str, variable: Mapping[str, Any], pod_name: str | None) -> None:
    field = ((variable.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath")
    literal = pod_name is not None and variable.get("value") == pod_name
    if field != _OWN_NAME and not literal:
        raise Refusal(
            f"container {container} sets {POD_NAME} to something else than the pod's name: "
            "leave it out"
        )
