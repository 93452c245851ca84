"""Charging and releasing: conditional updates, so that no race takes more than the limit or releases twice."""

from dataclasses import asdict, dataclass
from uuid import UUID

from computecloud.wire.errors import QuotaExceeded
from quotas.models import UNLIMITED, Charge, ProjectUsage
from workers import sql

RESOURCES = ("instances", "cores", "ram_mib")
_TAKE = """
UPDATE quotas_projectusage
SET instances = instances + %(instances)s, cores = cores + %(cores)s, ram_mib = ram_mib + %(ram_mib)s
WHERE project_id = %(project_id)s
    AND (instances_limit = -1 OR instances + %(instances)s <= instances_limit)
    AND (cores_limit = -1 OR cores + %(cores)s <= cores_limit)
    AND (ram_mib_limit = -1 OR ram_mib + %(ram_mib)s <= ram_mib_limit)
"""
_RELEASE = """
DELETE FROM quotas_charge WHERE consumer_id = %(consumer_id)s RETURNING project_id, instances, cores, ram_mib
"""
_GIVE_BACK = """
UPDATE quotas_projectusage
SET instances = instances - %(instances)s, cores = cores - %(cores)s, ram_mib = ram_mib - %(ram_mib)s
WHERE project_id = %(project_id)s
"""
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
    taken = {"project_id": project_id, **asdict(total)}
    if not sql.execute(_TAKE, taken):
        ProjectUsage.objects.get_or_create(project_id=project_id)
        if not sql.execute(_TAKE, taken):
            raise _exceeded(project_id, total)
    sql.insert(
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
    for project_id, *amounts in sql.fetch(_RELEASE, {"consumer_id": consumer_id}):
        sql.execute(_GIVE_BACK, {"project_id": project_id, **dict(zip(RESOURCES, amounts, strict=True))})
        return True
    return False


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
