"""The security groups of an instance's ports, as the Compute API adds, removes and shows them."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction

from computecloud.wire.errors import InvalidInput, NotFound
from networking.models import Port, PortGroup, SecurityGroup
from networking.services import groups, spreading
from networking.services.compute_form import in_compute_form


def join_group(instance_id: UUID, project_id: str, name: str) -> None:
    """Put an instance's ports into a group of its project; those that are in it stay.

    Raises NotFound where there is no such group, InvalidInput where no port can have one.
    """
    group_id = _named(name, project_id)
    with transaction.atomic():
        ports = list(Port.objects.filter(instance_id=instance_id))
        able = [port for port in ports if port.port_security_enabled]
        if not able:
            raise InvalidInput(
                "Network requires port_security_enabled and subnet associated in order to apply security groups."
            )
        rows = [PortGroup(port=port, group_id=group_id) for port in able]
        PortGroup.objects.bulk_create(rows, ignore_conflicts=True)
        _tell(able, group_id)


def leave_group(instance_id: UUID, project_id: str, name: str) -> None:
    """Take an instance's ports out of a group; raises NotFound where none of them is in it."""
    group_id = _named(name, project_id)
    with transaction.atomic():
        ports = list(Port.objects.filter(instance_id=instance_id))
        if not PortGroup.objects.filter(port__in=ports, group=group_id).delete()[0]:
            raise NotFound(f"Security group {name[:255]} not associated with the instance {instance_id}")
        _tell(ports, group_id)


def groups_of_instance(instance_id: UUID) -> list[dict[str, Any]]:
    """Return the groups of an instance's ports with their rules for what comes in; two queries."""
    return in_compute_form(
        SecurityGroup.objects.filter(ports__instance_id=instance_id).distinct().order_by("name", "id")
    )


def _named(name: str, project_id: str) -> UUID:
    try:
        return groups.named([name], project_id)[0]
    except InvalidInput as refusal:
        raise NotFound(refusal.message) from None


def _tell(ports: Iterable[Port], group_id: UUID) -> None:
    for port in ports:
        spreading.port_changed(port, [group_id])
