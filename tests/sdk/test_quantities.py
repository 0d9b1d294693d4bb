"""Sizes and durations: a wrong unit must be refused, never guessed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsnap.quantities import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("4GiB", 4 << 30),
        ("512 MiB", 512 << 20),
        ("1.5g", 3 << 29),
        ("4096", 4096),
        ("0", 0),
        ("2kB", 2000),
        (" 1tib ", 1 << 40),
        (12345, 12345),
    ],
)
def test_sizes_as_people_write_them(text: int | str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "GiB", "-1", "4 apples", "1e9", "0.5", "1GiBs", "9" * 19 + "t", "9" * 40, -1, "१"]
)
def test_what_is_no_size_is_refused(text: int | str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize("size", [1.5, None, True, b"4GiB"])
def test_a_size_of_another_type_is_refused(size: object) -> None:
    with pytest.raises(TypeError, match="size"):
        parse_size(size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("50ms", 50_000_000),
        ("1s", 10**9),
        ("0.5us", 500),
        ("7d", 7 * 86400 * 10**9),
        ("3 min", 180 * 10**9),
        (timedelta(milliseconds=2), 2_000_000),
        (timedelta(0), 0),
    ],
)
def test_durations_as_people_write_them(text: timedelta | str, duration_ns: int) -> None:
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize("text", ["", "5", "ms", "-1s", "0.5ns", "1S", "10000d00", timedelta(-1)])
def test_what_is_no_duration_is_refused(text: timedelta | str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_a_bare_number_is_no_duration_because_it_has_no_unit() -> None:
    with pytest.raises(TypeError, match="50ms"):
        parse_duration(5)  # type: ignore[arg-type]


@given(st.integers(0, 2**60))
def test_formatted_sizes_read_back_to_within_their_digits(size_bytes: int) -> None:
    assert abs(parse_size(format_size(size_bytes)) - size_bytes) <= max(1, size_bytes * 0.06)


@given(st.integers(0, 2**60))
def test_formatted_durations_read_back_to_within_their_digits(duration_ns: int) -> None:
    read = parse_duration(format_duration(duration_ns))
    assert abs(read - duration_ns) <= max(1, duration_ns * 0.06)
