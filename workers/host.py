"""A host's worker process: it proves by a lock file that it is the only one, takes the host, and keeps it alive.

Taking the host raises the host epoch and frees at once whatever an earlier worker of this host still held: the lock
file proves that it is dead.
"""

import fcntl
import os
import threading
from collections.abc import Callable
from typing import TextIO
from uuid import NAMESPACE_DNS, uuid5

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections, transaction
from django.db.models import F

from computecloud.config import CONFIG
from hypervisors.driver import Capability, DriverError, GuestEvent
from workers import clock, events, keeping, liveness, recovery
from workers.driver import driver
from workers.models import Host, utc_now
from workers.process import PROCESS

log = structlog.get_logger()


class HostTaken(Exception):
    """Another process on this machine works for this host."""


class NotClean(Exception):
    """Something that may not be here any more could not be removed yet."""


class HostWorker:
    """The host side of a worker process: start() before it reads its queue, ready() once it does, stop() at the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._stopping = threading.Event()
        self._lock: TextIO | None = None

    def start(self) -> None:
        """Take the host; raises HostTaken where another process has it."""
        self._lock = self._take_lock()
        host = self._register()
        PROCESS.name, PROCESS.host = host.worker, self.name
        self._come_back()
        events.emit("host.taken", host=host)
        self._note_boot(host)
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        keeping.start()

    def _note_boot(self, host: Host) -> None:
        """Tell whom it concerns where the machine was started again since a worker took it last."""
        boot_id = clock.boot_id()
        try:
            if host.boot_id not in ("", boot_id):
                events.emit("host.rebooted", host=self.name)
        except DriverError as error:
            log.warning("host.reboot_unseen", host=self.name, error=str(error))
            return
        Host.objects.filter(id=host.id).update(boot_id=boot_id)

    def ready(self) -> None:
        """Go on with what an earlier worker left, and follow the hypervisor's events."""
        freed = recovery.take_over_host(self.name)
        log.info("host.ready", host=self.name, freed=freed)
        if Capability.EVENTS in driver().capabilities:
            driver().listen(_tell)

    def stop(self) -> None:
        """End the threads and the driver; the host counts as dead when its counter has stood still."""
        self._stopping.set()
        try:
            PROCESS.drop_batons()
        except DatabaseError as error:  # then the next worker of this host frees them
            log.warning("host.database", error=str(error))
        driver().close()

    def _take_lock(self) -> TextIO:
        folder = CONFIG.state / "hosts" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "worker.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HostTaken(
                f"A worker of host {self.name} runs already on this machine; end it before you start another."
            ) from None
        lock.write(str(os.getpid()))
        lock.flush()
        return lock

    def _register(self) -> Host:
        with transaction.atomic():
            Host.objects.get_or_create(name=self.name, defaults={"id": uuid5(NAMESPACE_DNS, self.name)})
            Host.objects.filter(name=self.name).update(
                epoch=F("epoch") + 1, counter=F("counter") + 1, heartbeat_at=utc_now()
            )
            host = Host.objects.get(name=self.name)
            host.worker = f"{self.name}:{host.epoch}:{os.getpid()}"
            host.save(update_fields=["worker"])
        return host

    def _beat(self) -> None:
        self._every(CONFIG.heartbeat_interval_s, self._beat_once)

    def _beat_once(self) -> None:
        if liveness.beat(self.name):
            self._come_back()

    def _come_back(self) -> None:
        """Clean up what now lives elsewhere or is gone, and only then count as alive; tried again at each beat."""
        try:
            events.emit("host.returns", host=self.name)
        except (NotClean, DriverError) as error:
            log.warning("host.not_clean", host=self.name, error=str(error))
            return
        liveness.revive(self.name)

    def _every(self, interval_s: float, work: Callable[[], None]) -> None:
        while not self._stopping.wait(interval_s):
            try:
                work()
            except (DatabaseError, InterfaceError) as error:
                log.warning("host.database", error=str(error))
                close_old_connections()


def _tell(event: GuestEvent) -> None:
    """Pass on what the hypervisor tells; a database that is away is caught up with by the power audit."""
    try:
        events.emit("guest.power", node=event.node, uuid=event.uuid, power_state=event.power_state)
    except (DatabaseError, DriverError) as error:
        log.warning("guest.event_lost", uuid=str(event.uuid), error=str(error))
        close_old_connections()
