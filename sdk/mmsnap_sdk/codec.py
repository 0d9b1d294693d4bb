"""State values as bytes: JSON, with tags for what JSON does not know.

What goes in comes back equal and of the same type: None, bool, int of any size, float (also NaN
and infinities), str, bytes, list, tuple, dict with any of the plain ones as keys, the types of
`datetime`, and NumPy scalars. Everything else is refused, unless pickle is allowed. Bytes are
decoded without running anything they name, pickles apart.
"""

from __future__ import annotations

import base64
import json
import math
import pickle
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from mmsnap_sdk.nested import Keeper, StateDict, StateList, state_dict, state_list

DEPTH_MAX: Final = 100
_TAG: Final = "$"
# Python refuses to read longer decimal numbers from text.
_DECIMAL_BITS_MAX: Final = 4096
# Booleans, numbers, dates, strings: what has no references and no fields.
_NUMPY_KINDS: Final = "biufcmMSU"
_AS_THEY_ARE: Final = frozenset({str, bool, type(None)})
# Values of these types can not be changed, so one copy serves everybody.
UNCHANGING: Final = _AS_THEY_ARE | {int, float, bytes, date, datetime, time, timedelta}

_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class PickleRefusedError(TypeError):
    """Bytes hold a pickle where pickles are not allowed."""


class Codec:
    """Encodes and decodes state values.

    Args:
        allow_pickle: whether other values are pickled, and pickles are loaded.
    """

    def __init__(self, *, allow_pickle: bool) -> None:
        self._allow_pickle = allow_pickle

    def encode(self, value: Any, key: str) -> bytes:
        """The bytes of the value of `key`.

        Raises:
            TypeError: a type that is not taken; names it, the key and where in the value.
            ValueError: nested too deeply, or contains itself.
        """
        # What counters are made of goes the short way; the bytes are the same.
        if type(value) is int and value.bit_length() <= _DECIMAL_BITS_MAX:
            return b"%d" % value
        if type(value) is float and math.isfinite(value):
            return b"%a" % value
        packed = self._pack(value, f"app.state[{key!r}]", 0)
        return _encode_json(packed).encode("utf-8", "surrogatepass")

    def decode(self, data: bytes, keeper: Keeper) -> Any:
        """The value of some bytes, its lists and dicts watched over by `keeper`.

        Raises:
            ValueError: the bytes make no sense.
            PickleRefusedError: there is a pickle in them, and it is not allowed.
            ZoneInfoNotFoundError: this machine does not know a time zone in them.
        """
        try:
            return self._unpack(json.loads(data.decode("utf-8", "surrogatepass")), keeper)
        except (PickleRefusedError, ZoneInfoNotFoundError):
            raise
        except (LookupError, OverflowError, RecursionError, TypeError) as error:
            raise ValueError(f"not a state value: {error!r}") from None

    def may_change_unseen(self, data: bytes) -> bool:
        """Whether the value has parts whose changes no keeper sees: unpickled objects."""
        return self._allow_pickle and b'"$pickle"' in data

    def _pack(self, value: Any, where: str, depth: int) -> Any:
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value
        if depth > DEPTH_MAX:
            raise ValueError(f"{where} is nested deeper than {DEPTH_MAX}, or contains itself")
        if kind is list or kind is StateList:
            return [
                self._pack(part, f"{where}[{index}]", depth + 1)
                for index, part in enumerate(list(value))
            ]
        if kind is tuple:
            return {"$tuple": self._pack(list(value), where, depth + 1)}
        if kind is dict or kind is StateDict:
            return self._pack_dict(value, where, depth + 1)
        pack = _PACK.get(kind)
        if pack is not None:
            packed = pack(value)
        elif isinstance(value, np.generic) and value.dtype.kind in _NUMPY_KINDS:
            packed = {"$numpy": [value.dtype.str, _text(value.tobytes())]}
        else:
            packed = None
        return self._pickled(value, where) if packed is None else packed

    def _pack_dict(self, items: dict[Any, Any], where: str, depth: int) -> Any:
        # A copy made in one step: another thread may be changing the dict.
        pairs = list(items.items())
        if all(type(key) is str and not key.startswith(_TAG) for key, _ in pairs):
            return {key: self._pack(part, f"{where}[{key!r}]", depth) for key, part in pairs}
        return {
            "$dict": [
                [
                    self._pack(key, f"a key of {where}", depth),
                    self._pack(part, f"{where}[{key!r}]", depth),
                ]
                for key, part in pairs
            ]
        }

    def _pickled(self, value: Any, where: str) -> Any:
        if not self._allow_pickle:
            kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
            raise TypeError(
                f"{where} does not take a {kind}: it takes JSON-like values, bytes, datetimes "
                "and NumPy scalars; keep NumPy arrays in app.array(), or open with "
                "allow_pickle=True"
            )
        return {"$pickle": _text(pickle.dumps(value, protocol=5))}

    def _unpack(self, packed: Any, keeper: Keeper) -> Any:
        if isinstance(packed, list):
            return state_list(keeper, [self._unpack(part, keeper) for part in packed])
        if not isinstance(packed, dict):
            return packed
        tag = next(iter(packed), "")
        if not tag.startswith(_TAG):
            return state_dict(
                keeper, {key: self._unpack(part, keeper) for key, part in packed.items()}
            )
        content = packed[tag]
        if tag == "$tuple":
            return tuple(self._unpack(part, keeper) for part in content)
        if tag == "$dict":
            pairs = (
                (self._unpack(key, keeper), self._unpack(part, keeper)) for key, part in content
            )
            return state_dict(keeper, dict(pairs))
        if tag == "$pickle":
            if not self._allow_pickle:
                raise PickleRefusedError(
                    "it holds a pickle; open with allow_pickle=True if you trust it"
                )
            return pickle.loads(_data(content))
        return _UNPACK[tag](content)


def is_unchanging(value: Any) -> bool:
    """Whether a value can be given to everybody, for nobody can change it."""
    return type(value) in UNCHANGING or isinstance(value, np.generic)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _data(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _pack_int(value: int) -> Any:
    return value if value.bit_length() <= _DECIMAL_BITS_MAX else {"$int": hex(value)}


def _pack_float(value: float) -> Any:
    return value if math.isfinite(value) else {"$float": repr(value)}


def _pack_moment(value: datetime | time) -> Any:
    """ISO text, fold and the zone's key; None when the zone is of an unknown type."""
    zone = value.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key is not None:
        naive = value.replace(tzinfo=None, fold=0)
        return {f"${type(value).__name__}": [naive.isoformat(), value.fold, zone.key]}
    if zone is None or type(zone) is timezone:
        return {f"${type(value).__name__}": [value.replace(fold=0).isoformat(), value.fold, None]}
    return None


def _unpack_moment(kind: type[datetime] | type[time]) -> Callable[[Any], datetime | time]:
    def unpack(content: Any) -> datetime | time:
        text, fold, key = content
        moment = kind.fromisoformat(text)
        return moment.replace(fold=fold, tzinfo=moment.tzinfo if key is None else ZoneInfo(key))

    return unpack


def _unpack_numpy(content: Any) -> np.generic:
    dtype = np.dtype(content[0])
    data = _data(content[1])
    if dtype.kind not in _NUMPY_KINDS or len(data) != dtype.itemsize:
        raise ValueError(f"{len(data)} bytes are no {dtype}")
    # Through an array, strings would lose zeros at their end.
    if dtype.kind == "S":
        return np.bytes_(data)
    if dtype.kind == "U":
        return np.str_(data.decode("utf-32", "surrogatepass"))
    scalar: np.generic = np.frombuffer(data, dtype)[0]
    return scalar


_PACK: Final[dict[type, Callable[[Any], Any]]] = {
    int: _pack_int,
    float: _pack_float,
    bytes: lambda value: {"$bytes": _text(value)},
    datetime: _pack_moment,
    time: _pack_moment,
    date: lambda value: {"$date": value.isoformat()},
    timedelta: lambda value: {"$timedelta": [value.days, value.seconds, value.microseconds]},
}
_UNPACK: Final[dict[str, Callable[[Any], Any]]] = {
    "$int": lambda content: int(content, 16),
    "$float": float,
    "$bytes": _data,
    "$datetime": _unpack_moment(datetime),
    "$time": _unpack_moment(time),
    "$date": date.fromisoformat,
    "$timedelta": lambda content: timedelta(*content),
    "$numpy": _unpack_numpy,
}
