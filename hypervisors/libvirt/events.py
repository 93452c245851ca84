"""Domain events of a connection, as the power changes they are."""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final
from uuid import UUID

import libvirt

from hypervisors.announcer import Announcer
from hypervisors.driver import GuestEvent, PowerState
from hypervisors.libvirt import errors

_STATES: Final = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.NOSTATE,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.RUNNING,  # it is shutting down, but runs
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}
_EVENTS: Final = {
    libvirt.VIR_DOMAIN_EVENT_STARTED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: PowerState.SUSPENDED,
    libvirt.VIR_DOMAIN_EVENT_CRASHED: PowerState.CRASHED,
}


AGAIN_S = 5.0
"""After which every guest's state is told once more on a fresh connection.

A libvirtd that was just started takes each guest for running until it has asked it, and sends no event for one that
has died meanwhile.
"""


def power_state(state: int) -> PowerState:
    """Return the power state of a virDomainState."""
    return _STATES.get(state, PowerState.NOSTATE)


def power_of(domain: Any, state: int) -> PowerState:
    """Return what a domain in a virDomainState does; one that is off and whose memory is kept is SUSPENDED."""
    power = power_state(state)
    kept = power is PowerState.SHUTDOWN and domain.hasManagedSaveImage(0)
    return PowerState.SUSPENDED if kept else power


class DomainEvents:
    """Announces the power changes of one node, whichever connection is the newest."""

    def __init__(self, node: str, announcer: Announcer, *, again_s: float = AGAIN_S) -> None:
        self._node = node
        self._again_s = again_s
        self._announcer = announcer
        self._generation = 0
        self._lock = threading.Lock()
        self._changed: set[UUID] = set()

    def subscribe(self, connect: Any) -> Callable[[], None]:
        """Follow a fresh connection, and tell every guest's state: changes may have been missed.

        Returns what ends it.
        """
        self._generation += 1
        generation = self._generation
        registered = connect.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, generation
        )
        if not self._announcer.heard:
            return lambda: connect.domainEventDeregisterAny(registered)
        try:
            self._tell_all(connect, generation)
        except libvirt.libvirtError:
            with suppress(libvirt.libvirtError):  # it would keep the connection open
                connect.domainEventDeregisterAny(registered)
            raise
        again = threading.Timer(self._again_s, self._tell_all_again, [connect, generation])
        again.daemon = True
        again.start()

        def release() -> None:
            again.cancel()
            connect.domainEventDeregisterAny(registered)

        return release

    def _tell_all(self, connect: Any, generation: int) -> None:
        """Tell what each guest does, but for those whose change was told while libvirt was asked: that is newer."""
        with self._lock:
            self._changed.clear()
        for domain, stats in connect.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE):
            state = errors.if_there(partial(power_of, domain, stats["state.state"]))
            with self._lock:
                is_newest = generation == self._generation and UUID(bytes=domain.UUID()) not in self._changed
                if state is not None and is_newest:
                    self._announce(domain, state)

    def _tell_all_again(self, connect: Any, generation: int) -> None:
        with suppress(libvirt.libvirtError):  # the connection is lost: the next one tells them
            if generation == self._generation:
                self._tell_all(connect, generation)

    def _on_lifecycle(self, _connect: Any, domain: Any, event: int, detail: int, generation: int) -> None:
        if generation == self._generation and event in _EVENTS:
            saved = (event, detail) == (
                libvirt.VIR_DOMAIN_EVENT_STOPPED,
                libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED,
            )
            with self._lock:
                self._changed.add(UUID(bytes=domain.UUID()))
                self._announce(domain, PowerState.SUSPENDED if saved else _EVENTS[event])

    def _announce(self, domain: Any, state: PowerState) -> None:
        self._announcer.announce(GuestEvent(self._node, UUID(bytes=domain.UUID()), state))
