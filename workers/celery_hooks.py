"""Where Celery's worker process meets the engine: signals only, each one call."""

import os
from typing import Any

from celery.signals import worker_init, worker_ready, worker_shutdown

from computecloud.config import CONFIG
from workers.host import HostWorker
from workers.process import PROCESS

_worker: HostWorker | None = HostWorker(CONFIG.host) if CONFIG.role == "host" else None


@worker_init.connect
def _init(**_: Any) -> None:
    if _worker is not None:
        _worker.start()
    else:
        PROCESS.name = f"control:{os.getpid()}"


@worker_ready.connect
def _ready(**_: Any) -> None:
    if _worker is not None:
        _worker.ready()


@worker_shutdown.connect
def _shutdown(**_: Any) -> None:
    if _worker is not None:
        _worker.stop()
