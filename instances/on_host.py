"""What this room does on a host: follow power changes, answer for consoles, clean up after the deleted."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

import networking.invariants
import networking.services
from computecloud.config import CONFIG
from computecloud.wire.errors import Conflict
from hypervisors.driver import CallOverran, PowerState
from instances import addresses, guests, transitions
from instances.checks import LAST_EPOCH
from instances.models import Instance
from instances.services import servers
from instances.states import VmState
from networking.wiring.commands import WiringFailed
from workers import footprints, recovery
from workers.driver import driver
from workers.host import NotClean
from workers.models import Finding, Footprint, Operation, Subject
from workers.process import PROCESS

log = structlog.get_logger()

CONSOLE_MAX_BYTES = 100 * 1024
_DOWN = (PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.SUSPENDED)


def follow_power(*, node: str, uuid: UUID, power_state: PowerState) -> None:
    """Note a power change that the hypervisor told of, and wake an operation that waits for it."""
    log.info("guest.power", node=node, instance_id=str(uuid), power_state=power_state.name)
    if not transitions.observe(uuid, power_state.value, node=node):
        recovery.wake(uuid)


def show_addresses(*, instance_id: UUID) -> None:
    """Show in the server the addresses that its ports have by now."""
    ports = [guests.port_to_json(port) for port in networking.services.facts_of(instance_id)]
    transitions.note(instance_id, addresses=addresses.of_ports(ports))


def console(params: dict[str, Any]) -> str:
    """Return the end of a guest's console log as text."""
    node, uuid = params["node"], UUID(params["instance_id"])
    return driver().console_output(node, uuid, CONSOLE_MAX_BYTES).decode("utf-8", "replace")


def diagnostics(params: dict[str, Any]) -> dict[str, Any]:
    """Return what a running guest has used, and by which driver."""
    found = driver().figures(params["node"], UUID(params["instance_id"]))
    return {"driver": driver().name, **asdict(found)}


def uptime(_params: dict[str, Any]) -> str:
    """Return what `uptime` (procps) says of this machine; nobody is counted as logged in."""
    up_s = int(float(Path("/proc/uptime").read_text().split()[0]))
    days, rest = divmod(up_s // 60, 24 * 60)
    hours, minutes = divmod(rest, 60)
    up = (f"{days} days, " if days else "") + f"{hours}:{minutes:02}"
    loads = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    return f" {timezone.now():%H:%M:%S} up {up},  0 users,  load average: {loads}"


def clean_up(host: str) -> None:
    """Remove what this host keeps of servers that are gone or live elsewhere by now.

    Called before the host reads its queue, and when it was given up on and is back; no guest is placed here meanwhile.
    Of a server that lives elsewhere only this host's copy goes: its ports, its claim and its other disks are not ours.
    Raises NotClean where a step still runs on one of them, DriverError.
    """
    left = _stale_here(host)
    for subject_id, epoch in left.items():
        _remove_copy(subject_id, epoch)
    if left:
        _remove_wiring()
    for subject_id, epoch in left.items():
        footprints.forget(subject_id, host=host)
        Finding.objects.create(
            audit="cleanup", subject=str(subject_id), what=f"removed from {host} what {whose(epoch)} left"
        )


def remove_stale(host: str, subject_id: UUID) -> bool:
    """Remove what a host that is up keeps of one such server; False where it is not stale any more.

    Raises as clean_up does. Its wiring is another matter: it is the ports of the whole host that tell what may go.
    """
    epoch = stale_by_the_ledger(host).get(subject_id)
    if epoch is None:
        return False
    _remove_copy(subject_id, epoch)
    footprints.forget(subject_id, host=host)
    return True


def stale_by_the_ledger(host: str) -> dict[UUID, int]:
    """Return those of the stale servers that were deleted, or whose boot has left the host; no row edited by hand."""
    found = _stale_here(host)
    left = Footprint.objects.filter(host=host, subject_id__in=found)
    moved = Operation.objects.filter(id=OuterRef("operation_id")).exclude(host=host)
    elsewhere = set(left.filter(Exists(moved)).values_list("subject_id", flat=True)) if found else set()
    return {key: epoch for key, epoch in found.items() if epoch == LAST_EPOCH or key in elsewhere}


def _remove_copy(subject_id: UUID, epoch: int) -> None:
    if not PROCESS.lock(subject_id):
        raise NotClean(f"a step still runs on server {subject_id}, which is not here any more")
    pending = None
    try:
        for node in driver().nodes():
            driver().destroy(node.name, subject_id, epoch)
            driver().remove_disks(node.name, subject_id, epoch)
    except CallOverran as overrun:
        pending = overrun.pending
        raise
    finally:
        PROCESS.unlock(subject_id, pending)
    if epoch == LAST_EPOCH:  # a step that was cut off may have made them again
        networking.services.unbind(subject_id)


def whose(epoch: int) -> str:
    """Say what a server is of which a host keeps something by this epoch."""
    return "a deleted server" if epoch == LAST_EPOCH else "a server that lives elsewhere"


def _stale_here(host: str) -> dict[UUID, int]:
    """Return the servers that have footprints on a host and do not live there, with the epoch to act by."""
    others = Subject.objects.exclude(type="instance").values("id")
    living = Instance.objects.filter(host=host, deleted=False).values("id")
    left = Footprint.objects.filter(host=host).exclude(subject_id__in=others).exclude(subject_id__in=living)
    ids = set(left.values_list("subject_id", flat=True))
    known = dict(Subject.objects.filter(id__in=ids).values_list("id", "epoch"))
    return {subject_id: known.get(subject_id, LAST_EPOCH) for subject_id in ids}


def _remove_wiring() -> None:
    try:
        for violation in networking.invariants.left_on_host():
            if violation.fix is not None:
                violation.fix()
    except WiringFailed as error:
        raise NotClean(error.message) from error


def resume_guests(host: str) -> None:
    """Start again the guests that ran when this machine went down, or show that they are off, as the setting says.

    One whose memory the machine kept when it went down runs on from there.
    Called before anybody notes their power states: a server that is ACTIVE is one whose guest ran. Raises DriverError.
    """
    for instance in Instance.objects.filter(
        host=host, deleted=False, task_state=None, vm_state=VmState.ACTIVE.value
    ):
        guest = driver().guest(str(instance.node), instance.id)
        if guest is None or guest.power_state not in _DOWN:
            continue
        try:
            with transaction.atomic():
                transitions.observe(instance.id, guest.power_state.value, node=str(instance.node))
                if CONFIG.resume_guests_on_host_boot:
                    servers.run_again(instance, suspended=guest.power_state is PowerState.SUSPENDED)
        except Conflict as refusal:
            log.warning("guest.not_resumed", instance_id=str(instance.id), error=refusal.message)
