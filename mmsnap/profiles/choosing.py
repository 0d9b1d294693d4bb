"""A profile from what the command line says: a name with options, or a file."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mmsnap.profiles.commands import from_file, generic
from mmsnap.profiles.hazelcast import hazelcast
from mmsnap.profiles.profile import NO_PROFILE, Profile
from mmsnap.profiles.redis import redis

_NO_PAUSE: Final = "--nopause"


def choose(name: str | None, options: str = "") -> Profile:
    """The profile of a name (`hazelcast`, `redis`, `generic`) or of a file ending in .toml.

    Args:
        options: words like `url=http://127.0.0.1:5701`, and `--nopause` for hazelcast.

    Raises:
        ValueError: there is no such profile or option.
    """
    if name is None:
        return NO_PROFILE
    words = shlex.split(options)
    flags = {word for word in words if word.startswith("-")}
    values = dict(_pair(word) for word in words if word not in flags)
    if name.endswith(".toml"):
        _require_known(name, flags, values, set(), set())
        return from_file(Path(name))
    if name not in _BUILT_IN:
        known = ", ".join(_BUILT_IN)
        raise ValueError(f"there is no profile {name}: {known}, or a file that ends in .toml")
    make, known_flags, known_values = _BUILT_IN[name]
    _require_known(name, flags, values, known_flags, known_values)
    return make(flags, values)


def _hazelcast(flags: set[str], values: dict[str, str]) -> Profile:
    return hazelcast(**values, pause=_NO_PAUSE not in flags)


def _redis(flags: set[str], values: dict[str, str]) -> Profile:
    return redis(**values)


def _generic(flags: set[str], values: dict[str, str]) -> Profile:
    return generic(shlex.split(values.get("before", "")), shlex.split(values.get("after", "")))


_Maker = Callable[[set[str], dict[str, str]], Profile]
_BUILT_IN: Final[dict[str, tuple[_Maker, set[str], set[str]]]] = {
    "hazelcast": (_hazelcast, {_NO_PAUSE}, {"url", "cluster", "password"}),
    "redis": (_redis, set(), {"address"}),
    "generic": (_generic, set(), {"before", "after"}),
}


def _pair(word: str) -> tuple[str, str]:
    key, separator, value = word.partition("=")
    if not separator:
        raise ValueError(f"an option of a profile is written key=value, not {word!r}")
    return key, value


def _require_known(
    name: str, flags: set[str], values: dict[str, str], known_flags: set[str], known: set[str]
) -> None:
    wrong = sorted((flags - known_flags) | (values.keys() - known))
    if wrong:
        options = ", ".join(sorted(known_flags | {f"{key}=…" for key in known})) or "none"
        raise ValueError(f"profile {name} has no option {wrong[0]}; it knows {options}")
