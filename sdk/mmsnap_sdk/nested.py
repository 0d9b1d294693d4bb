"""Lists and dicts out of `app.state` that know whether a change to them will be kept.

They are ordinary lists and dicts in every other respect. Whether a change is kept is decided
by their keeper, in `state.py`; here it is only asked before each change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Keeper(Protocol):
    """Who writes a value back."""

    def touch(self) -> None:
        """Takes note of a change that is about to be made; raises when it would be lost."""


def _asking_first(method: Callable[..., Any]) -> Callable[..., Any]:
    def change(self: StateDict | StateList, /, *args: Any, **kwargs: Any) -> Any:
        self._keeper.touch()
        return method(self, *args, **kwargs)

    change.__name__ = method.__name__
    change.__doc__ = method.__doc__
    return change


class StateDict(dict[Any, Any]):
    """A dict out of `app.state`; `dict(value)` is a copy of its own."""

    __slots__ = ("_keeper",)

    def __init__(self, keeper: Keeper) -> None:
        super().__init__()
        self._keeper = keeper

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        """Copies and pickles are plain dicts."""
        return dict, (dict(self),)


class StateList(list[Any]):
    """A list out of `app.state`; `list(value)` is a copy of its own."""

    __slots__ = ("_keeper",)

    def __init__(self, keeper: Keeper) -> None:
        super().__init__()
        self._keeper = keeper

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        """Copies and pickles are plain lists."""
        return list, (list(self),)


_CHANGES: dict[type, tuple[str, ...]] = {
    StateDict: (
        "__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update",
    ),
    StateList: (
        "__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "clear", "extend",
        "insert", "pop", "remove", "reverse", "sort",
    ),
}  # fmt: skip

for _type, _names in _CHANGES.items():
    for _name in _names:
        setattr(_type, _name, _asking_first(getattr(_type, _name)))


def state_dict(keeper: Keeper, items: dict[Any, Any]) -> StateDict:
    """A `StateDict` of these items."""
    made = StateDict(keeper)
    dict.update(made, items)
    return made


def state_list(keeper: Keeper, items: list[Any]) -> StateList:
    """A `StateList` of these items."""
    made = StateList(keeper)
    list.extend(made, items)
    return made
