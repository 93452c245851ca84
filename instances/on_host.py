"""What this room does on a host: follow power changes, answer for consoles, clean up after the deleted."""

from typing import Any
from uuid import UUID

import structlog

import networking.invariants
from hypervisors.driver import DriverError, PowerState
from instances import transitions
from instances.checks import LAST_EPOCH
from instances.models import Instance
from workers import footprints, recovery
from workers.driver import driver
from workers.models import Footprint, Host, Mend, Subject

log = structlog.get_logger()

CONSOLE_MAX_BYTES = 100 * 1024


def follow_power(*, node: str, uuid: UUID, power_state: PowerState) -> None:
    """Note a power change that the hypervisor told of, and wake an operation that waits for it."""
    log.info("guest.power", node=node, instance_id=str(uuid), power_state=power_state.name)
    if not transitions.observe(uuid, power_state.value):
        recovery.wake(uuid)


def console(params: dict[str, Any]) -> str:
    """Return the end of a guest's console log as text."""
    node, uuid = params["node"], UUID(params["instance_id"])
    return driver().console_output(node, uuid, CONSOLE_MAX_BYTES).decode("utf-8", "replace")


def clean_up(host: Host) -> None:
    """Remove what servers that are gone have left on this host while it could not be reached.

    Called before the host reads its queue, so nothing else is at work here.
    """
    left = Footprint.objects.filter(host=host.name).exclude(subject_id__in=Subject.objects.values("id"))
    gone = set(left.values_list("subject_id", flat=True))
    try:
        for subject_id in gone:
            for node in driver().nodes():
                driver().destroy(node.name, subject_id, LAST_EPOCH)
                driver().remove_disks(node.name, subject_id, LAST_EPOCH)
        if gone:
            for violation in networking.invariants.left_on_host():
                if violation.fix is not None:
                    violation.fix()
    except DriverError as error:
        log.warning("cleanup.failed", host=host.name, error=error.message)
        return
    for subject_id in gone:
        footprints.forget(subject_id, host=host.name)
        what = f"removed from {host.name} what a deleted server left"
        Mend.objects.create(audit="cleanup", subject=str(subject_id), what=what)


def audit_power(host: str) -> None:
    """Note the power state of every idle server of this host whose guest does something else; due at each echo."""
    known = {
        instance.id: instance
        for instance in Instance.objects.filter(host=host, deleted=False, task_state=None).only(
            "id", "power_state", "node"
        )
    }
    for node in {str(instance.node) for instance in known.values()}:
        for guest in driver().guests(node):
            instance = known.get(guest.uuid)
            differs = instance is not None and instance.power_state != guest.power_state.value
            if instance is not None and differs and transitions.observe(guest.uuid, guest.power_state.value):
                what = f"power state {instance.power_state} was {guest.power_state.value} at the hypervisor"
                Mend.objects.create(audit="power", subject=str(guest.uuid), what=what)
