"""What one worker process holds in memory: the leases it runs under, the batons between its links, its subject locks.

A baton is the lease of the next step, taken in the commit that ended the last one, waiting for its message to come
round through the queue. All of it dies with the process; recovery then frees what the ledger says it held.
"""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from computecloud.config import CONFIG
from workers import ledger
from workers.ledger import Lease
from workers.workflow import Context

SLOW_AT_ONCE = 2  # steps of the slow queue, so that they never take all threads, whatever holds them up
BATON_S = 5.0  # a message that took longer to come round is taken for lost


def new_token() -> str:
    """Return a token that no other lease has."""
    return uuid.uuid4().hex


@dataclass(slots=True)
class Baton:
    """A lease with its context, and since when (monotonic seconds) it waits for its message."""

    lease: Lease
    ctx: Context
    since_s: float


@dataclass
class Process:
    """This worker process as the ledger knows it; `name` is the owner of its leases."""

    name: str = field(default_factory=lambda: f"process:{os.getpid()}")
    host: str = ""
    _batons: dict[tuple[UUID, int], Baton] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _locked: set[UUID] = field(default_factory=set)
    slow_places: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(SLOW_AT_ONCE)
    )
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def pass_on(self, lease: Lease, ctx: Context) -> None:
        """Keep the lease of the next step for the link that comes round."""
        with self._guard:
            self._batons[lease.operation_id, lease.cursor] = Baton(lease, ctx, time.monotonic())

    def serves(self, host: str | None) -> bool:
        """Tell whether a host's steps are this process's: a late message may come by a host that was given up."""
        all_in_one = not self.host and CONFIG.role != "control"  # as in a test
        return all_in_one or host == self.host

    def pick_up(self, operation_id: UUID, cursor: int) -> Baton | None:
        """Return the baton that waits for this link, once; a late one is left to be dropped, for its lease may be."""
        with self._guard:
            baton = self._batons.get((operation_id, cursor))
            if baton is None or time.monotonic() - baton.since_s > BATON_S:
                return None
            return self._batons.pop((operation_id, cursor))

    def drop_lost_batons(self) -> None:
        """Give back the leases whose messages did not come round, so that the sweeper publishes them again."""
        self._drop_batons(waited_s=BATON_S)

    def drop_batons(self) -> None:
        """Give back the leases of all batons, for this process ends; what it never began is no lost attempt."""
        self._drop_batons(waited_s=-1.0)

    def _drop_batons(self, *, waited_s: float) -> None:
        with self._guard:
            late = [key for key, baton in self._batons.items() if time.monotonic() - baton.since_s > waited_s]
            lost = [self._batons.pop(key) for key in late]
        for baton in lost:
            if not ledger.pause(baton.lease, after_s=0, counts=False):
                ledger.give_back(baton.lease.token)  # the sweeper turns back what is cancelled

    @contextmanager
    def running(self, lease: Lease) -> Iterator[None]:
        """Have the lease renewed for as long as the block runs."""
        self._running.add(lease.token)
        try:
            yield
        finally:
            self._running.discard(lease.token)

    def knows(self, token: str) -> bool:
        """Tell whether a step runs under this lease, or a baton holds it."""
        with self._guard:
            return token in self._running or any(one.lease.token == token for one in self._batons.values())

    def renew(self, lease_s: float) -> None:
        """Renew the leases of all steps that run."""
        tokens = list(self._running)
        if tokens:
            ledger.renew(tokens, lease_s=lease_s)

    def lock(self, subject_id: UUID) -> bool:
        """Take the subject's lock on this host; False where an effect on it is under way, or unknown."""
        with self._guard:
            if subject_id in self._locked:
                return False
            self._locked.add(subject_id)
            return True

    def unlock(self, subject_id: UUID, pending: "Future[Any] | None" = None) -> None:
        """Free the subject; with pending, an overrun call, only when that has returned."""
        if pending is not None and not pending.done():
            pending.add_done_callback(lambda _: self._locked.discard(subject_id))
            return
        self._locked.discard(subject_id)


PROCESS = Process()
