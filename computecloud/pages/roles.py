"""Who may do what in the operators' pages: auditors read all, operators act on the cloud, superusers do the rest."""

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

AUDITOR, OPERATOR = "auditor", "operator"
ROOMS = ("identity", "workers", "quotas", "scheduling", "networking", "images", "instances")
# Users, roles and projects are none of it: who may change those may make himself anything.
OPERATOR_CHANGES = (
    "workers.change_host",
    "workers.change_operation",
    "workers.change_auditschedule",
    "instances.change_instance",
    "instances.add_flavor",
    "instances.change_flavor",
    "quotas.change_projectusage",
    "quotas.change_quotaclass",
)


def ensure() -> bool:
    """Make the two groups, with exactly the permissions that stand here; returns whether anything was changed."""
    reading = Permission.objects.filter(content_type__app_label__in=ROOMS, codename__startswith="view_")
    changes = Q()
    for name in OPERATOR_CHANGES:
        room, codename = name.split(".")
        changes |= Q(content_type__app_label=room, codename=codename)
    acting = Permission.objects.filter(changes)
    with transaction.atomic():
        return any([_group(AUDITOR, {*reading}), _group(OPERATOR, {*reading, *acting})])


def _group(name: str, wanted: set[Permission]) -> bool:
    group, made = Group.objects.get_or_create(name=name)
    if set(group.permissions.all()) == wanted:
        return made
    group.permissions.set(wanted)
    return True
