"""The security groups of a server: those of its ports; its hosts follow by themselves."""

from typing import Any

from django.db import transaction

import networking.services
from identity.caller import Caller
from instances import selectors, transitions
from instances.models import Instance


def add(caller: Caller, instance: Instance, name: str) -> None:
    """Put the server's ports into a group of its project; raises NotFound, InvalidInput."""
    with transaction.atomic():
        networking.services.join_group(instance.id, instance.project_id, name)
        _show(caller, instance)


def remove(caller: Caller, instance: Instance, name: str) -> None:
    """Take the server's ports out of a group; raises NotFound where it is not one of theirs."""
    with transaction.atomic():
        networking.services.leave_group(instance.id, instance.project_id, name)
        _show(caller, instance)


def shown(instance: Instance) -> list[dict[str, Any]]:
    """Return the server's groups as the Compute API shows them: their rules for what comes in."""
    return networking.services.groups_of_instance(instance.id)


def _show(caller: Caller, instance: Instance) -> None:
    names = sorted({group["name"] for group in shown(instance)})
    transitions.note(
        selectors.instance(str(instance.id), caller).id, security_groups=[{"name": n} for n in names]
    )
