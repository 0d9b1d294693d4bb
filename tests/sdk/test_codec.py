"""State values must come back equal and of the same type, or be refused: never changed."""

from __future__ import annotations

import math
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import IntEnum
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmsnap_sdk.codec import Codec
from mmsnap_sdk.nested import StateDict, StateList


class Unwatched:
    def touch(self) -> None:
        """Nobody looks."""


def passed_through(value: object, *, allow_pickle: bool = False) -> Any:
    codec = Codec(allow_pickle=allow_pickle)
    return codec.decode(codec.encode(value, "key"), Unwatched())


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, and of the same type; lists and dicts may know their keeper."""
    if isinstance(one, dict):
        return (
            type(other) in (dict, StateDict)
            and len(one) == len(other)
            and all(
                same(a, b) and same(x, y)
                for (a, x), (b, y) in zip(one.items(), other.items(), strict=True)
            )
        )
    if isinstance(one, list | tuple):
        kinds = (tuple,) if isinstance(one, tuple) else (list, StateList)
        return (
            type(other) in kinds
            and len(one) == len(other)
            and all(same(a, b) for a, b in zip(one, other, strict=True))
        )
    if type(one) is not type(other):
        return False
    if isinstance(one, np.generic):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    if isinstance(one, datetime | time):
        return one == other and one.tzinfo == other.tzinfo and one.fold == other.fold
    return bool(one == other)


zones = st.none() | st.sampled_from(
    [UTC, timezone(timedelta(hours=-3, minutes=-30)), ZoneInfo("UTC")]
)
texts = st.text(st.characters(exclude_categories=()), max_size=20)
scalars = hnp.scalar_dtypes().flatmap(lambda dtype: hnp.from_dtype(np.dtype(dtype), allow_nan=True))
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**5000), 2**5000)
    | st.floats()
    | texts
    | st.binary(max_size=20)
    | st.datetimes(timezones=zones)
    | st.times(timezones=zones)
    | st.dates()
    | st.timedeltas()
    | scalars
)
keys = st.none() | st.booleans() | st.integers() | texts | st.tuples(st.integers(), texts)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(texts | st.sampled_from(["$bytes", "$", "$dict"]), inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=500)
@given(values)
def test_every_value_comes_back_equal_and_of_its_type(value: object) -> None:
    assert same(value, passed_through(value))


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        -math.inf,
        -0.0,
        5e-324,
        10**5000,
        -(2**4096),
        "\ud83d\ude00 as two halves",
        {"$tuple": [1]},
        {1: "one", "1": "text", None: "none", (1, "a"): [1]},
        np.str_("zero\0"),
        np.bytes_(b"zero\0\0"),
        np.float64("nan"),
        np.datetime64("2026-11-23T10:15:02.123456789", "ns"),
        np.longdouble("1.1"),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime.max,
        time(2, 30, fold=1),
        date.min,
        timedelta.min,
        (),
        {},
        [],
    ],
    ids=lambda value: (
        f"{type(value).__name__}-{str(value)[:20]!a}" if type(value) is not int else "int"
    ),
)
def test_values_that_json_alone_would_change(value: object) -> None:
    assert same(value, passed_through(value))


class Colour(IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


class OddZone(tzinfo):
    """A zone that nobody could find again."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(0)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({1, 2}, "set"),
        (object(), "object"),
        (Decimal("1.1"), "decimal.Decimal"),
        (1j, "complex"),
        (bytearray(b"x"), "bytearray"),
        (np.zeros(3), "numpy.ndarray"),
        (Colour.RED, "Colour"),
        (Text("x"), "Text"),
        (OrderedDict(a=1), "collections.OrderedDict"),
        (datetime(2026, 1, 1, tzinfo=OddZone()), "datetime.datetime"),
        (np.void(b"raw"), "numpy.void"),
        (lambda: None, "function"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_it_does_not_take_are_refused_by_name(value: object, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"app\.state\['key'\]\['a'\]\[1\].*{kind}"):
        Codec(allow_pickle=False).encode({"a": [0, value]}, "key")


def test_pickle_takes_the_rest_when_it_is_allowed() -> None:
    assert passed_through({"a": {1, 2}, "b": Decimal("1.1")}, allow_pickle=True) == {
        "a": {1, 2},
        "b": Decimal("1.1"),
    }


def test_a_pickle_is_not_loaded_unless_it_is_allowed() -> None:
    data = Codec(allow_pickle=True).encode({1, 2}, "key")
    with pytest.raises(TypeError, match="allow_pickle"):
        Codec(allow_pickle=False).decode(data, Unwatched())


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        Codec(allow_pickle=False).encode(loop, "key")


@settings(max_examples=300)
@given(values, st.data())
def test_damaged_bytes_are_an_error_or_a_value_but_nothing_else(
    value: object, data: st.DataObject
) -> None:
    codec = Codec(allow_pickle=False)
    encoded = bytearray(codec.encode(value, "key"))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        codec.decode(bytes(encoded), Unwatched())
    except (ValueError, TypeError, LookupError):
        return
