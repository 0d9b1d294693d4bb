"""What a service counts and measures, for Prometheus: every name, and what it means.

Operations are counted when they are over, on the event loop: nothing here runs between the order to
stand still and the one to run on. What a pool holds and who is there is looked up when somebody
asks for the metrics, on the thread that answers them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mmsnap.catalog import ScheduleOutcome
from mmsnap.group import CheckpointOperation, Finished, Operation
from mmsnap.node.weights import used_bytes

_PAUSE_BUCKETS: Final = (10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3,
                         25e-3, 50e-3, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # fmt: skip
_OPERATION_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
                             10, 30, 60, 300)  # fmt: skip
_WRITTEN_BUCKETS: Final = tuple(float(1 << power) for power in range(16, 38, 2))

OPERATIONS: Final = ("checkpoint", "restore", "roll_back")
COMMITTED: Final = "committed"


@dataclass(slots=True)
class Ending:
    """How an operation ended; whoever carries it out may say another thing than "committed"."""

    result: str = COMMITTED


class Metrics:
    """The figures of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._operations = Counter(
            "mmsnap_operations_total",
            "Operations on groups that were asked of this node, by how they ended: committed, "
            "pending (a restore that waits for programs), or the name of the error. "
            "A roll_back is a restore that the service makes by itself when a member is lost.",
            ("operation", "result"),
            registry=self.registry,
        )
        self._operation = Histogram(
            "mmsnap_operation_seconds",
            "From when an operation was asked for to its end, waiting for its turn included.",
            ("operation",),
            buckets=_OPERATION_BUCKETS,
            registry=self.registry,
        )
        self._pause = Histogram(
            "mmsnap_pause_seconds",
            "The longest pause that a member measured, of each committed checkpoint.",
            buckets=_PAUSE_BUCKETS,
            registry=self.registry,
        )
        self._held = Histogram(
            "mmsnap_held_seconds",
            "From the first order to stand still to the first to run on, aborted ones included.",
            ("operation",),
            buckets=_PAUSE_BUCKETS,
            registry=self.registry,
        )
        self._written = Histogram(
            "mmsnap_written_bytes",
            "Dirty bytes that all members together copied, of each committed checkpoint.",
            buckets=_WRITTEN_BUCKETS,
            registry=self.registry,
        )
        self._scheduled = Counter(
            "mmsnap_schedule_runs_total",
            "Runs of schedules on this node, by how they ended: committed, failed, or postponed "
            "(the group was busy, or a restore of it waits for programs).",
            ("result",),
            registry=self.registry,
        )
        self._late = Histogram(
            "mmsnap_schedule_late_seconds",
            "How much later than it was due a run began.",
            buckets=_OPERATION_BUCKETS,
            registry=self.registry,
        )
        for result in ("committed", "failed", "postponed"):
            self._scheduled.labels(result)
        for operation in OPERATIONS:
            # A rate needs the zero before the first.
            self._operations.labels(operation, COMMITTED)

    @contextmanager
    def operation(self, name: str) -> Iterator[Ending]:
        """Counts and times what is done inside, as one of `OPERATIONS`."""
        ending = Ending()
        with self._operation.labels(name).time():
            try:
                yield ending
            except BaseException as error:
                ending.result = type(error).__name__
                raise
            finally:
                self._operations.labels(name, ending.result).inc()

    def finished(self, operation: Operation, finished: Finished) -> None:
        """Takes the figures of an operation that is over."""
        if finished.held_ns:
            kind = "checkpoint" if isinstance(operation, CheckpointOperation) else "restore"
            self._held.labels(kind).observe(finished.held_ns / 1e9)
        if finished.committed and finished.figures:
            parts = finished.figures.values()
            self._pause.observe(max(part.pause_ns for part in parts) / 1e9)
            self._written.observe(sum(part.size_bytes for part in parts))

    def scheduled(self, result: str, late_seconds: float) -> None:
        """A run of a schedule is over; `result` as in `scheduled_run`."""
        self._scheduled.labels(result).inc()
        self._late.observe(late_seconds)

    def look_at_schedules(self, outcomes: Callable[[], Sequence[ScheduleOutcome]]) -> None:
        """From now on the schedules that this node runs are told, too."""
        here = Gauge("mmsnap_schedules", "Schedules that this node runs.", registry=self.registry)
        here.set_function(lambda: len(outcomes()))
        failing = Gauge(
            "mmsnap_schedules_failing",
            "Of these, the ones whose last run failed.",
            registry=self.registry,
        )
        failing.set_function(lambda: sum(1 for each in outcomes() if each.failures))

    def look_at_replicas(self, lag_seconds: Callable[[], float]) -> None:
        """From now on how far copies lie behind is told, too."""
        lag = Gauge(
            "mmsnap_replica_lag_seconds",
            "The age of the oldest checkpoint that this node has yet to see copied; 0: none.",
            registry=self.registry,
        )
        lag.set_function(lag_seconds)

    def look_at(self, pool: Path, members: Callable[[], Mapping[str, int] | None]) -> None:
        """Has the pool, and the `members` by their state, looked at when the metrics are asked for.

        `members` is called on another thread than the event loop's.
        """
        self.registry.register(_Standing(pool, members))


class _Standing(Collector):
    """What is not counted but looked up."""

    def __init__(self, pool: Path, members: Callable[[], Mapping[str, int] | None]) -> None:
        self._pool = pool
        self._members = members

    def collect(self) -> Iterable[GaugeMetricFamily]:
        medium = os.statvfs(self._pool)
        yield GaugeMetricFamily(
            "mmsnap_pool_size_bytes", "The medium of the pool.", medium.f_blocks * medium.f_frsize
        )
        yield GaugeMetricFamily(
            "mmsnap_pool_free_bytes",
            "What its medium has left for the pool.",
            medium.f_bavail * medium.f_frsize,
        )
        yield GaugeMetricFamily(
            "mmsnap_regions_used_bytes",
            "What all regions and programs of the pool take of the medium.",
            used_bytes(self._pool),
        )
        members = GaugeMetricFamily(
            "mmsnap_members",
            "Members of this node by their state; none are told while the catalog is away.",
            labels=("state",),
        )
        for state, count in (self._members() or {}).items():
            members.add_metric((state,), count)
        yield members
