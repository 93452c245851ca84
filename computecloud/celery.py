"""The Celery app: a doorbell between processes. What must happen stands in the database (workers.models.Operation)."""

import os
from typing import Any

from computecloud import lean
from computecloud.config import CONFIG

if CONFIG.role:
    lean.keep_out()

from celery import Celery
from celery.fixups.django import DjangoWorkerFixup  # type: ignore[attr-defined]

from computecloud import broker

if CONFIG.role != "beat":  # beat only rings; without Django it takes half the memory
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "computecloud.settings")


def _keep_connections(_self: DjangoWorkerFixup, **_: Any) -> None:
    """Keep database connections between tasks; Celery's own fixup closes them around each, at 20 % of the CPU."""
    from django.db import close_old_connections

    close_old_connections()


DjangoWorkerFixup.close_database = _keep_connections
broker.register()

app = Celery("computecloud")
app.conf.update(
    broker_url=CONFIG.broker_url or f"redis+socket://{CONFIG.state / 'run' / 'redis.sock'}",
    task_default_queue="control",
    task_ignore_result=True,  # results are rows of the ledger
    task_store_errors_even_if_ignored=False,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_connection_timeout=2,
    # A publish never holds up a request: what was not published is dispatched by the sweeper.
    task_publish_retry=False,
    broker_transport_options={
        # A worker may wait; a request may not: what it does not get rid of at once the sweeper publishes.
        "socket_timeout": 5 if CONFIG.role in ("control", "host") else 1,
        "socket_connect_timeout": 1,
        "max_retries": 0,  # of a publisher's connecting; a worker's own connection is tried for ever
        "socket_keepalive": True,
        "health_check_interval": 10,
        # A message that its worker has not acknowledged is kept in the worker's memory, not in Redis too: that costs
        # a fifth of a worker's CPU and would bring it back after an hour; the sweeper rings again after seconds.
        "ack_emulation": False,
        "priority_steps": [0],
        "queue_order_strategy": "round_robin",
    },
    beat_max_loop_interval=5,
    beat_schedule_filename=str(CONFIG.state / "run" / "beat-schedule"),
)


def _every(interval_s: float, task: str, *args: str) -> dict[str, Any]:
    return {
        "task": task,
        "schedule": interval_s,
        "args": args,
        "options": {"expires": interval_s, "queue": "control"},
    }


app.conf.beat_schedule = {
    "sweep": _every(CONFIG.sweep_interval_s, "workers.sweep"),
    "observe": _every(10.0, "workers.observe"),
    "audit capacity": _every(60.0, "workers.periodic", "scheduling.capacity_audit"),
    "archive": _every(30.0, "workers.periodic", "workers.archive"),
}
if CONFIG.role != "beat":
    app.autodiscover_tasks(["workers"])
if CONFIG.role in ("control", "host"):
    app.conf.include = ["workers.tasks", "workers.celery_hooks"]
