"""Locks: an owner keeps a server from being changed by mistake, an admin keeps it from its owner."""

from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from identity.caller import Caller
from instances import policies
from instances.models import Instance
from workers import instant

log = structlog.get_logger()

OWNER, ADMIN = "owner", "admin"
OVERRIDE = "os_compute_api:os-lock-server:unlock:unlock_override"


def lock(caller: Caller, instance: Instance, *, reason: str | None) -> None:
    """Lock the server; a lock that is there stays as it is when its owner locks again, an admin's replaces it."""
    who = _side(caller, instance)
    row = Instance.objects.filter(id=instance.id, deleted=False)
    if who == OWNER:
        row = row.filter(locked_by="")
    with transaction.atomic():
        if row.update(locked_by=who, locked_reason=reason, updated_at=timezone.now()):
            _note(caller, instance, "lock", {"reason": reason} if reason else {})


def unlock(caller: Caller, instance: Instance) -> None:
    """Unlock the server; raises Forbidden where an admin has locked it and the caller may not pass that."""
    who = _side(caller, instance)
    locked = Instance.objects.filter(id=instance.id, deleted=False).exclude(locked_by="")
    mine = locked if policies.allows(caller, OVERRIDE) else locked.filter(locked_by=who)
    with transaction.atomic():
        if mine.update(locked_by="", locked_reason=None, updated_at=timezone.now()):
            _note(caller, instance, "unlock", {})
        elif locked.exists():
            policies.check(caller, OVERRIDE)


def _side(caller: Caller, instance: Instance) -> str:
    return OWNER if caller.project_id == instance.project_id else ADMIN


def _note(caller: Caller, instance: Instance, kind: str, params: dict[str, Any]) -> None:
    subject = ("instance", instance.id)
    instant.note(
        kind=kind, subject=subject, project_id=instance.project_id, user_id=caller.user_id, params=params
    )
    log.info("instance.lock_changed", instance_id=str(instance.id), action=kind)
