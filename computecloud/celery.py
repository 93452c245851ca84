"""The Celery app: a doorbell between processes. What must happen stands in the database (workers.models.Operation)."""

import os
import time
from datetime import UTC, datetime
from typing import Any

from computecloud import lean
from computecloud.config import CONFIG

if CONFIG.role in ("control", "host", "beat"):
    lean.keep_out()

from celery import Celery
from celery.fixups.django import DjangoWorkerFixup  # type: ignore[attr-defined]
from celery.schedules import schedule

from computecloud import broker

if CONFIG.role != "beat":  # beat only rings; without Django it takes half the memory
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "computecloud.settings")


def _keep_connections(_self: DjangoWorkerFixup, **_: Any) -> None:
    """Keep database connections between tasks; Celery's own fixup closes them around each, at 20 % of the CPU."""
    from django.db import close_old_connections

    close_old_connections()


DjangoWorkerFixup.close_database = _keep_connections
broker.register()

BROKER_URL = CONFIG.broker_url or f"redis+socket://{CONFIG.state / 'run' / 'redis.sock'}"
IS_WORKER = CONFIG.role in ("control", "host")

app = Celery("computecloud", amqp=broker.AMQP)
# Every setting of Celery, each with its reason; those of a broker's own connection are in computecloud.broker.
app.conf.update(
    broker_url=BROKER_URL,
    broker_transport_options=broker.options(BROKER_URL, waits=IS_WORKER),
    broker_connection_retry_on_startup=True,  # a worker that starts before its broker waits for it
    broker_connection_max_retries=None,  # and one that lost it tries for ever
    broker_connection_timeout=2,
    broker_heartbeat=10,  # of a worker's connection to RabbitMQ: one that is half open is found within 20 s
    task_default_queue="control",
    task_ignore_result=True,  # results are rows of the ledger; no result backend
    task_store_errors_even_if_ignored=False,
    task_acks_late=True,  # a worker that dies gives its message back; running it twice is safe, for it takes a lease
    task_reject_on_worker_lost=True,
    task_serializer="json",
    accept_content=["json"],  # ids only; what comes in pickled is refused unread
    # A publish never holds up a request: what was not published is dispatched by the sweeper. On RabbitMQ it is tried
    # once more, at once: a connection that broke while it lay idle is noticed only by using it.
    task_publish_retry=broker.is_rabbitmq(BROKER_URL),
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0},
    worker_prefetch_multiplier=1,  # a message that waits in a busy worker's memory waits longer than in the queue
    worker_send_task_events=False,  # nobody listens, and with many hosts they cost the square of their number
    worker_enable_remote_control=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,  # a step goes on: it holds its lease, not its message
    worker_detect_quorum_queues=False,  # computecloud.broker.rabbitmq knows them
    worker_hijack_root_logger=False,  # computecloud.logging writes the logs
    beat_max_loop_interval=5,
    beat_scheduler="celery.beat:Scheduler",  # keeps no file: its times mean nothing to the next process
)


def _steady_now() -> datetime:
    """Return what beat takes for the time: a wall clock that is set back an hour would silence it for as long."""
    return datetime.fromtimestamp(time.monotonic(), UTC)


# A ring is worth nothing once several newer ones wait. One interval would be too short: where the queue `control` is
# longer than that, every sweep would have expired before its turn, and nobody would recover anything.
RING_LASTS_S = 15.0


def _every(interval_s: float, task: str, *args: str) -> dict[str, Any]:
    return {
        "task": task,
        "schedule": schedule(interval_s, nowfun=_steady_now, app=app),
        "args": args,
        "options": {"expires": max(interval_s, RING_LASTS_S), "queue": "control"},
    }


app.conf.beat_schedule = {
    "sweep": _every(CONFIG.sweep_interval_s, "workers.sweep"),
    "observe": _every(10.0, "workers.observe"),
    "audit capacity": _every(60.0, "workers.periodic", "scheduling.capacity_audit"),
    "idempotency keys": _every(300.0, "workers.periodic", "workers.idempotency_keys"),
    "expired tokens": _every(300.0, "workers.periodic", "identity.tidy"),
    "archive": _every(30.0, "workers.periodic", "workers.archive"),
}
if CONFIG.role != "beat":
    app.autodiscover_tasks(["workers"])
if IS_WORKER:
    app.conf.include = ["workers.tasks", "workers.celery_hooks"]
