"""A guest's memory on its way to a file or back: jobs of libvirt's, which outlive the worker that began them."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final
from uuid import UUID

import libvirt

from hypervisors.driver import CallOverran
from hypervisors.libvirt.connection import Connection

LOOK_S: Final = 5.0  # a small guest is done by then; a large one is looked at again
MIB: Final = 1024**2


class Transfers:
    """Begins transfers and tells how far they are; each guest has one at most."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._begun: dict[UUID, tuple[str, Future[Any]]] = {}

    def save(self, uuid: UUID) -> str | None:
        """Save the memory of a guest with a process; returns None when that is done, else how far it is.

        A guest that was paused meanwhile runs when it is restored. Raises GuestNotFound, CallFailed.
        """
        return self._move(
            uuid, "save the memory", lambda domain: domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)
        )

    def restore(self, uuid: UUID) -> str | None:
        """Run a guest from the memory that is kept of it; returns and raises as save does."""
        return self._move(uuid, "restore the memory", lambda domain: domain.create())

    def is_moving(self, uuid: UUID) -> bool:
        """Return whether libvirt is saving or restoring the guest now, for whoever asked it to."""
        return self._connection.on_domain("look at the guest's jobs", uuid, _moves)

    def forget(self, uuid: UUID) -> None:
        """Forget what was begun for a guest that goes."""
        self._begun.pop(uuid, None)

    def _move(self, uuid: UUID, what: str, act: Callable[[Any], object]) -> str | None:
        begun, future = self._begun.get(uuid, ("", None))
        if future is not None and future.done():
            del self._begun[uuid]
            if begun == what:
                future.result()  # what it came to is asked for again only where it failed
        elif future is not None or self.is_moving(uuid):
            return self._progress(uuid, what)
        try:
            self._connection.job(what, uuid, act, patience_s=LOOK_S)
        except CallOverran as overrun:
            self._begun[uuid] = what, overrun.pending
            return self._progress(uuid, what)
        return None

    def _progress(self, uuid: UUID, what: str) -> str:
        moved, total = self._connection.on_domain("look at the guest's jobs", uuid, _moved)
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
