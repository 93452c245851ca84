"""Where Celery's worker process meets the engine: signals only, each one call."""

import os
from typing import Any

from celery.signals import worker_init, worker_ready, worker_shutdown

from computecloud.config import CONFIG
from workers import keeping, recovery
from workers.host import HostWorker
from workers.process import PROCESS

_worker: HostWorker | None = HostWorker(CONFIG.host) if CONFIG.role == "host" else None


def control_prefix() -> str:
    """Return what the names of this machine's control workers begin with."""
    return f"control:{CONFIG.host}:"


@worker_init.connect
def _init(**_: Any) -> None:
    if _worker is not None:
        _worker.start()
    else:
        PROCESS.name = f"{control_prefix()}{os.getpid()}"
        keeping.start()


@worker_ready.connect
def _ready(**_: Any) -> None:
    if _worker is not None:
        _worker.ready()
    else:
        recovery.take_over_control(control_prefix())
        recovery.sweep()  # what beat rings for waits behind all that came while nobody was here


@worker_shutdown.connect
def _shutdown(**_: Any) -> None:
    if _worker is not None:
        _worker.stop()
