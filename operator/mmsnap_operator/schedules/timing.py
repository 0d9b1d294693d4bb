"""When the runs of a CheckpointSchedule are due: pure, all times are given.

Of what was missed while nobody looked at most the last is made up for. At an interval it is: people
asked for no more than so much time between two. As in cron it is for a while only: who asks for
three o'clock at night does not mean noon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from mmsnap.quantities import parse_duration
from mmsnap_operator.workloads.refusals import Refused

LATE_MAX: Final = timedelta(minutes=10)
_MINUTE: Final = timedelta(minutes=1)
_SECOND: Final = timedelta(seconds=1)
_INTERVAL_MAX: Final = timedelta(days=366)
_FIELDS: Final = 5


@dataclass(frozen=True, slots=True)
class Interval:
    """So much time from one to the next."""

    every: timedelta

    @property
    def is_of_agents(self) -> bool:
        """Too short for objects: the agents keep it."""
        return self.every < _MINUTE

    def due(self, since: datetime, now: datetime) -> datetime | None:
        """The last run that is due by now, and was not yet at `since`."""
        passed = (now - since) // self.every
        return since + passed * self.every if passed > 0 else None

    def next(self, since: datetime, now: datetime) -> datetime:
        """The first run that is not due yet."""
        passed = max((now - since) // self.every, 0)
        return since + (passed + 1) * self.every


@dataclass(frozen=True, slots=True)
class Cron:
    """As cron has it, in a time zone; when clocks are put forward or back, as Debian's does it."""

    expression: str
    zone: ZoneInfo

    def due(self, since: datetime, now: datetime) -> datetime | None:
        """The last run that is due by now, was not yet at `since`, and is not too late."""
        # What is due this very second counts, and the search begins before where it starts.
        start = now.astimezone(self.zone).replace(microsecond=0) + _SECOND
        last = _first(self.expression, start, reverse=True)
        if last is None or not max(since, now - LATE_MAX) < last:
            return None
        return last

    def next(self, since: datetime, now: datetime) -> datetime | None:
        """The first run that is not due yet; None: there is none for a long time."""
        return _first(self.expression, now.astimezone(self.zone), reverse=False)


def timing_of(spec: Mapping[str, Any]) -> Interval | Cron:
    """What a specification says; Refused."""
    if "interval" in spec:
        return Interval(_interval(spec["interval"]))
    name = spec.get("timeZone") or "Etc/UTC"
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Refused(
            "TimeZoneUnknown", f"there is no time zone {name}: give one like Europe/Berlin"
        ) from error
    expression = spec["schedule"]
    try:
        if len(expression.split()) != _FIELDS:
            raise CronSimError("it has five fields: minute, hour, day, month, day of the week")
        CronSim(expression, datetime.now(UTC))
    except CronSimError as error:
        raise Refused("ScheduleInvalid", f"{expression!r} says no time: {error}") from error
    return Cron(expression, zone)


def duration_of(text: str) -> timedelta:
    """A duration as people write it; Refused."""
    try:
        return timedelta(microseconds=parse_duration(text) / 1000)
    except (ValueError, OverflowError) as error:
        raise Refused("DurationInvalid", str(error)) from error


def require_times(spec: Mapping[str, Any]) -> None:
    """Refused when a specification says a time that there is not."""
    timing_of(spec)
    within = (spec.get("retention") or {}).get("keepWithin")
    if within is not None:
        duration_of(within)


def _interval(text: str) -> timedelta:
    every = duration_of(text)
    if not every:
        raise Refused("IntervalInvalid", "an interval is longer than nothing")
    if every > _INTERVAL_MAX:
        raise Refused("IntervalInvalid", f"an interval of {text} is longer than a year")
    return every


def _first(expression: str, start: datetime, *, reverse: bool) -> datetime | None:
    found = next(CronSim(expression, start, reverse=reverse), None)
    return None if found is None else found.astimezone(UTC)
