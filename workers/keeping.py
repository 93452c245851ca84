"""A thread of every worker: it renews the leases of steps that run, and frees those that nobody here knows of.

Such a lease is left where the database took a commit and its answer was lost, or where it was away when a step's
failure was to be written. Without this, others would wait until the lease runs out.
"""

import threading
import time

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections

from computecloud.config import CONFIG
from workers import recovery
from workers.process import PROCESS

log = structlog.get_logger()

FORGOTTEN_S = 4.0  # between the commit that takes a lease and the memory of it there is a moment

_strange: dict[
    str, float
] = {}  # tokens that the ledger has and this process does not, since when (monotonic seconds)


def start() -> None:
    """Keep leases until the process ends."""
    threading.Thread(target=_keep, name="leases", daemon=True).start()


def _keep() -> None:
    while True:
        time.sleep(min(CONFIG.lease_s / 3, 2.0))
        try:
            PROCESS.renew(CONFIG.lease_s)
            PROCESS.drop_lost_batons()
            free_forgotten(time.monotonic())
        except (DatabaseError, InterfaceError) as error:
            log.warning("worker.database", error=str(error))
            close_old_connections()


def free_forgotten(now_s: float) -> None:
    """Free every lease of this process that nothing in it has known of for a while."""
    strange = {
        operation.lease_token: operation
        for operation in recovery.leased_by(PROCESS.name)
        if operation.lease_token and not PROCESS.knows(operation.lease_token)
    }
    since = {token: _strange.get(token, now_s) for token in strange}
    _strange.clear()
    _strange.update(since)
    for token, began_s in since.items():
        if now_s - began_s > FORGOTTEN_S:
            recovery.free(strange[token], f"worker {PROCESS.name} lost track of it: the database was away")
