"""Charging and releasing: conditional updates, so that no race takes more than the limit or releases twice."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, Q, QuerySet

from computecloud.wire.errors import QuotaExceeded
from quotas.models import UNLIMITED, Charge, ProjectUsage

RESOURCES = ("instances", "cores", "ram_mib")
_NOVA_NAMES = {"instances": "instances", "cores": "cores", "ram_mib": "ram"}


@dataclass(frozen=True, slots=True)
class Demand:
    """What a consumer takes; ram_mib in MiB."""

    instances: int
    cores: int
    ram_mib: int

    def times(self, count: int) -> "Demand":
        """Return what `count` such consumers take."""
        return Demand(self.instances * count, self.cores * count, self.ram_mib * count)


def charge(project_id: str, consumers: list[UUID], each: Demand) -> None:
    """Charge the project for these consumers, all or none; call it in the transaction that creates them.

    Raises QuotaExceeded in Nova's words.
    """
    total = each.times(len(consumers))
    if not _with_room(project_id, total).update(**_plus(total)):
        ProjectUsage.objects.get_or_create(project_id=project_id)
        if not _with_room(project_id, total).update(**_plus(total)):
            raise _exceeded(project_id, total)
    Charge.objects.bulk_create(
        [
            Charge(
                consumer_id=consumer,
                project_id=project_id,
                instances=each.instances,
                cores=each.cores,
                ram_mib=each.ram_mib,
            )
            for consumer in consumers
        ]
    )


def release(consumer_id: UUID) -> bool:
    """Release a consumer's charge; False where it was released before."""
    charged = Charge.objects.filter(consumer_id=consumer_id).values("project_id", *RESOURCES).first()
    if charged is None or not Charge.objects.filter(consumer_id=consumer_id).delete()[0]:
        return False
    project_id = charged.pop("project_id")
    taken = {name: F(name) - amount for name, amount in charged.items()}
    ProjectUsage.objects.filter(project_id=project_id).update(**taken)
    return True


def set_limits(project_id: str, *, instances: int, cores: int, ram_mib: int) -> None:
    """Set a project's limits; -1 means none."""
    limits = {"instances_limit": instances, "cores_limit": cores, "ram_mib_limit": ram_mib}
    ProjectUsage.objects.update_or_create(project_id=project_id, defaults=limits)


def unlimit(project_id: str) -> None:
    """Take every limit from a project."""
    set_limits(project_id, instances=UNLIMITED, cores=UNLIMITED, ram_mib=UNLIMITED)


def usage(project_id: str) -> ProjectUsage:
    """Return a project's limits and usage; the defaults, unsaved, where it has none yet."""
    return ProjectUsage.objects.filter(project_id=project_id).first() or ProjectUsage(project_id=project_id)


def _plus(demand: Demand) -> dict[str, object]:
    return {name: F(name) + getattr(demand, name) for name in RESOURCES}


def _with_room(project_id: str, demand: Demand) -> QuerySet[ProjectUsage]:
    rows = ProjectUsage.objects.filter(project_id=project_id)
    for name in RESOURCES:
        limit = f"{name}_limit"
        rows = rows.filter(Q(**{limit: UNLIMITED}) | Q(**{f"{limit}__gte": F(name) + getattr(demand, name)}))
    return rows


def _exceeded(project_id: str, demand: Demand) -> QuotaExceeded:
    now = usage(project_id)
    over = [
        name
        for name in RESOURCES
        if getattr(now, f"{name}_limit") != UNLIMITED
        and getattr(now, name) + getattr(demand, name) > getattr(now, f"{name}_limit")
    ]
    names = ", ".join(_NOVA_NAMES[name] for name in over)
    asked = ", ".join(str(getattr(demand, name)) for name in over)
    used = ", ".join(str(getattr(now, name)) for name in over)
    limits = ", ".join(str(getattr(now, f"{name}_limit")) for name in over)
    return QuotaExceeded(
        f"Quota exceeded for {names}: Requested {asked}, but already used {used} of {limits} {names}"
    )
