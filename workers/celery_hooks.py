"""Where Celery's worker process meets the engine: signals only, each one call.

Celery logs what a signal's handler raises, and goes on. A worker that has not begun as it should would only look alive,
without a heartbeat and with nobody to free its leases: it ends instead, and its supervisor starts the next one.
"""

import os
import time
from typing import Any

import structlog
from celery.signals import worker_init, worker_ready, worker_shutdown
from django.db import DatabaseError, InterfaceError, close_old_connections

from computecloud.config import CONFIG
from workers import keeping, recovery
from workers.host import HostWorker
from workers.process import PROCESS

log = structlog.get_logger()

READY_WITHIN_S = 15.0  # a database that is away for longer than that is waited for by the next process
PAUSE_S = 1.0

_worker: HostWorker | None = HostWorker(CONFIG.host) if CONFIG.role == "host" else None


def control_prefix() -> str:
    """Return what the names of this machine's control workers begin with."""
    return f"control:{CONFIG.host}:"


@worker_init.connect
def _init(**_: Any) -> None:
    if _worker is None:
        PROCESS.name = f"{control_prefix()}{os.getpid()}"
        keeping.start()
        return
    try:
        _worker.start()
    except Exception as error:
        log.exception("worker.not_started", error=str(error))
        raise SystemExit(1) from None


@worker_ready.connect
def _ready(**_: Any) -> None:
    """Begin, now and whenever the broker is back; again where the database is away."""
    until_s = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            return _begin()
        except (DatabaseError, InterfaceError) as error:
            log.warning("worker.database", error=str(error))
            if time.monotonic() > until_s:
                raise SystemExit(1) from None
            close_old_connections()
            time.sleep(PAUSE_S)


def _begin() -> None:
    if _worker is not None:
        _worker.ready()
    else:
        recovery.take_over_control(control_prefix())
        recovery.sweep()  # what beat rings for waits behind all that came while nobody was here


@worker_shutdown.connect
def _shutdown(**_: Any) -> None:
    if _worker is not None:
        _worker.stop()
