"""What Prometheus is told of the engine, read from the ledger when it asks: a few queries, whatever its size."""

from collections.abc import Iterable
from typing import Any

from computecloud import metrics
from computecloud.metrics import Gauge, Reading
from workers import clock, sql
from workers.models import Host

ACTIVE = Gauge("computecloud_operations_active", "Operations that have not ended.", ("state",))
WAITING = Gauge("computecloud_operations_waiting", "Operations that wait for their tenant's turn.", ())
QUEUE_AGE = Gauge(
    "computecloud_queue_age_seconds",
    "Time since the oldest step that is due was published and not taken.",
    ("queue",),
)
LEASE_AGE = Gauge("computecloud_lease_age_seconds", "Time that the oldest lease has been held.", ())
OVERDUE = Gauge("computecloud_operations_overdue", "Operations past their deadline.", ())
HOSTS = Gauge(
    "computecloud_hosts", "Hosts by state: up, down or disabled (up, and takes no new guests).", ("state",)
)
HEARTBEAT_AGE = Gauge("computecloud_heartbeat_age_seconds", "Time since a host's last heartbeat.", ("host",))
GAUGES = (ACTIVE, WAITING, QUEUE_AGE, LEASE_AGE, OVERDUE, HOSTS, HEARTBEAT_AGE)

_DUE = "lease_token IS NULL AND admitted AND run_after <= %(now)s AND dispatched_at > 0"
_OPERATIONS = f"""
SELECT state, count(*), sum(CASE WHEN admitted THEN 0 ELSE 1 END),
    sum(CASE WHEN admitted AND deadline > 0 AND deadline < %(now)s THEN 1 ELSE 0 END),
    min(CASE WHEN lease_token IS NOT NULL THEN leased_at END),
    min(CASE WHEN {_DUE} AND host IS NULL THEN dispatched_at END),
    min(CASE WHEN {_DUE} AND host IS NOT NULL THEN dispatched_at END)
FROM workers_operation WHERE workers_operation.state IN ('pending', 'running', 'undoing') GROUP BY state
"""  # noqa: S608 — no value is in it


def read() -> Iterable[Reading]:
    """Yield the engine's figures; two queries."""
    now = clock.now()
    yield from _of_operations(sql.fetch(_OPERATIONS, {"now": now}), now)
    yield from _of_hosts(now)


def _of_operations(rows: list[tuple[Any, ...]], now: float) -> Iterable[Reading]:
    counts = dict.fromkeys(("pending", "running", "undoing"), 0) | {row[0]: row[1] for row in rows}
    yield from (Reading(ACTIVE, (state,), count) for state, count in counts.items())
    yield Reading(WAITING, (), sum(row[2] for row in rows))
    yield Reading(OVERDUE, (), sum(row[3] for row in rows))
    yield Reading(LEASE_AGE, (), _age_s([row[4] for row in rows], now))
    for queue, column in (("control", 5), ("host", 6)):
        yield Reading(QUEUE_AGE, (queue,), _age_s([row[column] for row in rows], now))


def _age_s(moments: list[float | None], now: float) -> float:
    return max((now - at for at in moments if at is not None and at < now), default=0.0)


def _of_hosts(now: float) -> Iterable[Reading]:
    states = dict.fromkeys(("up", "down", "disabled"), 0)
    for host in Host.objects.only("name", "alive", "forced_down", "enabled", "heartbeat_at"):
        states["down" if not host.is_up else "up" if host.enabled else "disabled"] += 1
        if host.heartbeat_at is not None:
            age_s = max(now - host.heartbeat_at.timestamp(), 0.0)
            yield Reading(HEARTBEAT_AGE, (host.name,), age_s)
    yield from (Reading(HOSTS, (state,), count) for state, count in states.items())


metrics.register(GAUGES, read)
