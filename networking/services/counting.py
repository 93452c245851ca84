"""How many things of each kind a project may make; ports of instances count with their instances."""

from typing import Any

from django.db.models import F, Model

from networking.errors import OverQuota
from networking.models import Network, Port, RbacPolicy, SecurityGroup, SecurityGroupRule, Subnet, Tenant

LIMITS = {  # Neutron's defaults
    "network": 100,
    "subnet": 100,
    "port": 500,
    "security_group": 10,
    "security_group_rule": 100,
    "rbac_policy": 10,
}
UNLIMITED = -1
_MODELS: dict[str, type[Model]] = {
    "network": Network,
    "subnet": Subnet,
    "security_group": SecurityGroup,
    "security_group_rule": SecurityGroupRule,
    "rbac_policy": RbacPolicy,
}


def admit(project_id: str, resource: str, count: int = 1) -> None:
    """Raise OverQuota where the project has no room for so many; call it first in the transaction that makes them.

    The project's own row is written before counting, so that requests at once count one after the other.
    """
    if not Tenant.objects.filter(project_id=project_id).update(made=F("made") + count):
        Tenant.objects.create(project_id=project_id)
    limit = limits(project_id)[resource]
    if limit != UNLIMITED and _used(project_id, resource) + count > limit:
        raise OverQuota(resource)


def limits(project_id: str) -> dict[str, int]:
    """Return how many of each the project may have; UNLIMITED for as many as it likes."""
    own: Any = Tenant.objects.filter(project_id=project_id).values_list("limits", flat=True).first()
    return {**LIMITS, **(own or {})}


def limited_projects() -> dict[str, dict[str, int]]:
    """Return the limits of the projects that have some of their own."""
    rows = Tenant.objects.exclude(limits={}).order_by("project_id").values_list("project_id", "limits")
    return {project_id: {**LIMITS, **own} for project_id, own in rows}


def set_limits(project_id: str, changes: dict[str, int]) -> None:
    """Give the project limits of its own, beside those that it has."""
    row, _ = Tenant.objects.get_or_create(project_id=project_id)
    Tenant.objects.filter(pk=row.pk).update(limits={**row.limits, **changes})


def forget_limits(project_id: str) -> None:
    """Give the project the usual limits again."""
    Tenant.objects.filter(project_id=project_id).update(limits={})


def used(project_id: str) -> dict[str, int]:
    """Return how many of each the project has."""
    return {resource: _used(project_id, resource) for resource in LIMITS}


def _used(project_id: str, resource: str) -> int:
    if resource == "port":
        own = Port.objects.filter(project_id=project_id, made_by_instance=False)
        return own.exclude(device_owner="network:dhcp").count()
    return _MODELS[resource]._default_manager.filter(project_id=project_id).count()
