"""A guest's memory on its way to a file or back: jobs of libvirt's, which outlive the worker that began them."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final
from uuid import UUID

import libvirt

from hypervisors.driver import CallOverran
from hypervisors.libvirt import errors
from hypervisors.libvirt.timed import TimedCalls

SLOTS: Final = 4
Look = Callable[[str, Callable[[Any], Any]], Any]
LOOK_S: Final = 5.0  # a small guest is done by then; a large one is looked at again
MIB: Final = 1024**2


class Transfers:
    """Begins transfers and tells how far they are; each guest has one at most.

    look: makes a call that looks at a domain, within its limit (Connection.call).
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._calls = TimedCalls(SLOTS)
        self._begun: dict[UUID, tuple[str, Future[Any]]] = {}

    def save(self, uuid: UUID, domain: Any) -> str | None:
        """Save the memory of a guest with a process; returns None when that is done, else how far it is.

        A guest that was paused meanwhile runs when it is restored. Raises CallFailed.
        """
        return self._move(
            uuid, domain, "save the memory", lambda: domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)
        )

    def restore(self, uuid: UUID, domain: Any) -> str | None:
        """Run a guest from the memory that is kept of it; returns as save does. Raises CallFailed."""
        return self._move(uuid, domain, "restore the memory", domain.create)

    def is_moving(self, domain: Any) -> bool:
        """Return whether libvirt is saving or restoring the guest now, for whoever asked it to."""
        return bool(self._look("look at the guest's jobs", lambda _: _moves(domain)))

    def forget(self, uuid: UUID) -> None:
        """Forget what was begun for a guest that goes."""
        self._begun.pop(uuid, None)

    def _move(self, uuid: UUID, domain: Any, what: str, act: Callable[[], object]) -> str | None:
        begun, future = self._begun.get(uuid, ("", None))
        if future is not None and future.done():
            del self._begun[uuid]
            if begun == what:
                future.result()  # what it came to is asked for again only where it failed
        elif future is not None or self.is_moving(domain):
            return self._progress(domain, what)
        try:
            self._calls.run(what, lambda: _translated(what, domain, act), LOOK_S)
        except CallOverran as overrun:
            self._begun[uuid] = what, overrun.pending
            return self._progress(domain, what)
        return None

    def _progress(self, domain: Any, what: str) -> str:
        moved, total = self._look("look at the guest's jobs", lambda _: _moved(domain))
        return f"{what}: {moved // MIB} of {total // MIB} MiB" if total else f"{what}: under way"


def _moves(domain: Any) -> bool:
    try:
        if domain.state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP]:
            return True
        return bool(domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE)
    except libvirt.libvirtError:  # it has no process any more
        return False


def _moved(domain: Any) -> tuple[int, int]:
    try:
        _, _, _, total, moved, *_ = domain.jobInfo()
    except libvirt.libvirtError:
        return 0, 0
    return int(moved), int(total)


def _translated(what: str, domain: Any, act: Callable[[], object]) -> None:
    try:
        act()
    except libvirt.libvirtError as error:
        raise errors.translate(what, error, connected=bool(domain.connect().isAlive())) from error
