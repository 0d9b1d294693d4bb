"""Sizes and durations as people write them: "4GiB", "50ms", ``timedelta(days=7)``.

Inside mmsnap a size is always an int of bytes and a duration an int of nanoseconds; this
module stands where values from people come in and go out. A bare number is a size in bytes,
but never a duration, for it would not tell its unit.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Final

SIZE_BYTES: Final = {
    "": 1,
    "b": 1,
    "k": 1 << 10,
    "m": 1 << 20,
    "g": 1 << 30,
    "t": 1 << 40,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}
DURATION_NS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}
# 2**63 ns are 292 years: what fits the C core's 64-bit clocks.
_LIMIT: Final = 1 << 63
_QUANTITY: Final = re.compile(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-zµ]{0,3})\s*", re.ASCII)


def parse_size(size: int | str) -> int:
    """Bytes of a size: an int of bytes, or a string like "512MiB", "1.5g", "4096".

    Binary units (KiB, MiB, GiB, TiB and the short k, m, g, t) are powers of 1024; KB, MB, GB
    and TB powers of 1000. Case does not matter; a fraction of a byte is dropped.

    Raises:
        ValueError: it is not a size, is negative or out of range.
        TypeError: it is neither an int nor a string.
    """
    if isinstance(size, bool) or not isinstance(size, int | str):
        raise TypeError(f'a size is an int of bytes or a string like "4GiB", not {size!r}')
    if isinstance(size, str):
        return _parse(size.lower(), size, SIZE_BYTES, "size", '"512MiB" or "4GiB"')
    if not 0 <= size < _LIMIT:
        raise ValueError(f"a size of {size} bytes is out of range")
    return size


def parse_duration(duration: timedelta | str) -> int:
    """Nanoseconds of a duration: a timedelta, or a string like "50ms", "1.5s", "7d".

    Units are ns, us, ms, s, m (or min), h and d.

    Raises:
        ValueError: it is not a duration, is negative or out of range.
        TypeError: it is neither a timedelta nor a string; a bare number has no unit.
    """
    if isinstance(duration, str):
        return _parse(duration, duration, DURATION_NS, "duration", '"50ms" or "7d"')
    if not isinstance(duration, timedelta):
        raise TypeError(f'a duration is a timedelta or a string like "50ms", not {duration!r}')
    duration_ns = (duration // timedelta(microseconds=1)) * 1000
    if not 0 <= duration_ns < _LIMIT:
        raise ValueError(f"a duration of {duration} is out of range")
    return duration_ns


def _parse(text: str, shown: str, units: dict[str, int], what: str, examples: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(f"{shown!r} is not a {what}; write it like {examples}")
    amount = int(Decimal(match[1]) * units[match[2]])
    if amount >= _LIMIT or (units[match[2]] == 1 and "." in match[1]):
        raise ValueError(f"the {what} {shown!r} is out of range or finer than its smallest unit")
    return amount


def format_size(size_bytes: int) -> str:
    """A size for people to read: "0 B", "4.0 KiB", "1.5 GiB"; `parse_size` reads it back."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        scale = SIZE_BYTES[unit.lower()]
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f} {unit}"
    return f"{size_bytes} B"


def format_duration(duration_ns: int) -> str:
    """A duration for people to read: "850 ns", "1.9 ms", "2.0 h"; `parse_duration` reads it."""
    for unit in ("d", "h", "min", "s", "ms", "us"):
        scale = DURATION_NS[unit]
        if duration_ns >= scale:
            return f"{duration_ns / scale:.1f} {unit}"
    return f"{duration_ns} ns"
