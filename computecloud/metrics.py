"""What is counted and timed, for Prometheus. Processes of one machine count in files of their own, which a scrape sums.

A process that serves (its role is set) keeps its counts in state_dir/metrics, under a name that is its role's and, of
several processes of one role, a number that a lock holds: so a process that is started again goes on counting where the
last one stopped, and no file is ever left over. Others, such as a command, count in memory and are not asked.
"""

import fcntl
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from computecloud.config import CONFIG

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_locks: list[TextIO] = []  # held for as long as the process lives


def _keep_in_files() -> None:
    folder = CONFIG.state / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    role = f"host-{CONFIG.host}" if CONFIG.role == "host" else CONFIG.role
    number = 0
    while True:
        number += 1
        lock = (folder / f"{role}-{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        break
    _locks.append(lock)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: f"{role}-{number}")


if CONFIG.role in ("web", "control", "host"):
    _keep_in_files()

REGISTRY = CollectorRegistry()
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONG_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)

REQUESTS = Counter(
    "computecloud_requests",
    "Requests that were answered.",
    ("api", "method", "route", "status"),
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "computecloud_request_seconds",
    "Time to the answer of a request.",
    ("api", "method", "route"),
    buckets=SECONDS,
    registry=REGISTRY,
)
OPERATIONS = Counter(
    "computecloud_operations", "Operations that ended.", ("kind", "outcome"), registry=REGISTRY
)
STEP_SECONDS = Histogram(
    "computecloud_step_seconds",
    "Time of one attempt at a step.",
    ("kind", "step", "direction", "outcome"),
    buckets=LONG_SECONDS,
    registry=REGISTRY,
)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure that is read from the database when it is asked for; read yields label values and the figure."""

    name: str
    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of a gauge."""

    gauge: Gauge
    values: tuple[str, ...]
    figure: float


Read = Callable[[], Iterable[Reading]]
_reads: list[tuple[tuple[Gauge, ...], Read]] = []


def register(gauges: Iterable[Gauge], read: Read) -> None:
    """Have a scrape ask a room for these gauges; read yields all of their readings at once."""
    _reads.append((tuple(gauges), read))


def names() -> dict[str, tuple[str, ...]]:
    """Return every series' name, as Prometheus sees it, with its labels."""
    found = {gauge.name: gauge.labels for gauges, _ in _reads for gauge in gauges}
    for counter in (REQUESTS, OPERATIONS):
        found[f"{counter._name}_total"] = tuple(counter._labelnames)
    for histogram in (REQUEST_SECONDS, STEP_SECONDS):
        for part, more in (("bucket", ("le",)), ("sum", ()), ("count", ())):
            found[f"{histogram._name}_{part}"] = (*histogram._labelnames, *more)
    return found


def request_answered(*, route: str, method: str, status: int, took_s: float) -> None:
    """Count a request; route is the pattern that its path matched, empty where it matched none."""
    api = route.partition("/")[0] or "none"
    method = method if method in METHODS else "other"
    REQUESTS.labels(api, method, route or "none", str(status)).inc()
    REQUEST_SECONDS.labels(api, method, route or "none").observe(took_s)


def operation_ended(kind: str, outcome: str) -> None:
    """Count the end of an operation: succeeded, failed, cancelled or overtaken."""
    OPERATIONS.labels(kind, outcome).inc()


def step_ended(kind: str, step: str, direction: str, outcome: str, took_s: float) -> None:
    """Time an attempt at a step; direction is do or undo."""
    STEP_SECONDS.labels(kind, step, direction, outcome).observe(max(took_s, 0.0))


class _Database(Collector):
    """The gauges of all rooms."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield them."""
        for gauges, read in _reads:
            families = {one.name: GaugeMetricFamily(one.name, one.text, labels=one.labels) for one in gauges}
            for reading in read():
                families[reading.gauge.name].add_metric(reading.values, reading.figure)
            yield from families.values()


def scraped() -> CollectorRegistry:
    """Return what a scrape is answered from: the counts of this machine's processes, and the database's figures."""
    registry = CollectorRegistry()
    registry.register(_Database())
    if _locks:
        MultiProcessCollector(registry)
    else:
        registry.register(REGISTRY)
    return registry
