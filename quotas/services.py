"""Charging, releasing and limits: conditional updates, so that no race takes more than the limit or releases twice."""

from dataclasses import asdict, dataclass
from functools import cache
from uuid import UUID

import structlog

from computecloud.wire.errors import InvalidInput, QuotaExceeded
from quotas import selectors
from quotas.models import COUNTED, DEFAULT_CLASS, LIMITED, UNLIMITED, Charge, ProjectUsage, QuotaClass
from workers import sql

log = structlog.get_logger()

_RELEASE = """
DELETE FROM quotas_charge WHERE consumer_id = %(consumer_id)s
RETURNING project_id, instances, cores, ram_mib, server_groups
"""
_GIVE_BACK = """
UPDATE quotas_projectusage
SET instances = instances - %(instances)s, cores = cores - %(cores)s, ram_mib = ram_mib - %(ram_mib)s,
    server_groups = server_groups - %(server_groups)s
WHERE project_id = %(project_id)s
"""
_NOVA_NAMES = {"ram_mib": "ram"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a consumer takes; ram_mib in MiB. Metadata items are held against their limit and not added up."""

    instances: int = 0
    cores: int = 0
    ram_mib: int = 0
    server_groups: int = 0
    metadata_items: int = 0

    def times(self, count: int) -> "Demand":
        """Return what `count` such consumers take."""
        added = {name: getattr(self, name) * count for name in COUNTED}
        return Demand(**added, metadata_items=self.metadata_items)


def charge(project_id: str, consumers: list[UUID], each: Demand) -> None:
    """Charge the project for these consumers, all or none; call it in the transaction that creates them.

    Raises QuotaExceeded in Nova's words.
    """
    total = asdict(each.times(len(consumers)))
    take = _take(tuple(name for name, amount in total.items() if amount))
    taken = {"project_id": project_id, **total}
    if not sql.execute(take, taken):
        begin(project_id)
        if not sql.execute(take, taken):
            raise _exceeded(project_id, total)
    amounts = {name: getattr(each, name) for name in COUNTED}
    sql.insert([Charge(consumer_id=consumer, project_id=project_id, **amounts) for consumer in consumers])


def release(consumer_id: UUID) -> bool:
    """Release a consumer's charge; False where it was released before."""
    for project_id, *amounts in sql.fetch(_RELEASE, {"consumer_id": consumer_id}):
        sql.execute(_GIVE_BACK, {"project_id": project_id, **dict(zip(COUNTED, amounts, strict=True))})
        return True
    return False


def room(project_id: str, each: Demand) -> int:
    """Return for how many more such consumers the project's quota has room; 0 where nothing of it has a limit."""
    row = selectors.usage(project_id)
    rooms = [
        (bound - getattr(row, name)) // getattr(each, name)
        for name, bound in selectors.limits_of(row).items()
        if name in COUNTED and bound != UNLIMITED and getattr(each, name)
    ]
    return min(rooms, default=0)


def check_metadata(project_id: str, items: int) -> None:
    """Raise QuotaExceeded where a server of the project may not have so many metadata items."""
    bound = selectors.limit(project_id, "metadata_items")
    if bound != UNLIMITED and items > bound:
        raise _too_much_metadata(bound)


def set_limits(project_id: str, *, force: bool = True, **limits: int | None) -> None:
    """Set some of a project's own limits, by resource; -1 means that there is none, None that the default counts.

    Without force none may be below what is used: raises InvalidInput in Nova's words. What is charged at the same
    moment is seen, for limits and counters are one row.
    """
    begin(project_id)
    rows = ProjectUsage.objects.filter(project_id=project_id)
    bounds = {
        name: amount for name, amount in limits.items() if name in COUNTED and amount not in (None, UNLIMITED)
    }
    if not force:
        rows = rows.filter(**{f"{name}__lte": amount for name, amount in bounds.items()})
    while limits and not rows.update(**{f"{name}_limit": amount for name, amount in limits.items()}):
        now = selectors.usage(project_id)
        for name, amount in bounds.items():
            if amount is not None and (used := getattr(now, name)) > amount:
                raise InvalidInput(
                    f"Quota limit {amount} for {nova_name(name)} must be greater than or equal to already used "
                    f"and reserved {used}."
                )
    log.info("quota.limits_set", of_project=project_id, **limits)


def follow_defaults(project_id: str) -> None:
    """Take away every limit of the project's own."""
    ProjectUsage.objects.filter(project_id=project_id).update(**{f"{name}_limit": None for name in LIMITED})
    log.info("quota.limits_forgotten", of_project=project_id)


def set_defaults(**limits: int) -> None:
    """Set some of the limits of every project that has none of its own, by resource; -1 means none."""
    begin_defaults()
    if limits:
        columns = {f"{name}_limit": amount for name, amount in limits.items()}
        QuotaClass.objects.filter(name=DEFAULT_CLASS).update(**columns)
    log.info("quota.defaults_set", **limits)


def unlimit(project_id: str) -> None:
    """Take the limits of number and size of servers from a project."""
    set_limits(project_id, instances=UNLIMITED, cores=UNLIMITED, ram_mib=UNLIMITED)


def begin(project_id: str) -> None:
    """Make the rows that charges are counted in where they are not there: the project's, and the defaults."""
    begin_defaults()
    ProjectUsage.objects.get_or_create(project_id=project_id)


def begin_defaults() -> None:
    """Make the row of the defaults where it is not there."""
    QuotaClass.objects.get_or_create(name=DEFAULT_CLASS)


def nova_name(resource: str) -> str:
    """Return a resource's name in the Compute API."""
    return _NOVA_NAMES.get(resource, resource)


@cache
def _take(names: tuple[str, ...]) -> str:
    """Return the statement that takes these resources of a project's quota where there is room for all of them."""
    added = ", ".join(f"{name} = u.{name} + %({name})s" for name in names if name in COUNTED)
    room = " AND ".join(map(_has_room, names))
    return f"""
UPDATE quotas_projectusage AS u SET {added} FROM quotas_quotaclass AS d
WHERE u.project_id = %(project_id)s AND d.name = '{DEFAULT_CLASS}' AND {room}
"""  # noqa: S608


def _has_room(name: str) -> str:
    bound = f"COALESCE(u.{name}_limit, d.{name}_limit)"
    used = f"u.{name} + " if name in COUNTED else ""
    return f"({bound} = {UNLIMITED} OR {used}%({name})s <= {bound})"


def _exceeded(project_id: str, total: dict[str, int]) -> QuotaExceeded:
    now = selectors.usage(project_id)
    bounds = selectors.limits_of(now)
    over = selectors.over(now, total)
    if not over:
        return _too_much_metadata(bounds["metadata_items"])
    names = ", ".join(map(nova_name, over))
    asked = ", ".join(str(total[name]) for name in over)
    used = ", ".join(str(getattr(now, name)) for name in over)
    limits = ", ".join(str(bounds[name]) for name in over)
    return QuotaExceeded(
        f"Quota exceeded for {names}: Requested {asked}, but already used {used} of {limits} {names}"
    )


def _too_much_metadata(bound: int) -> QuotaExceeded:
    return QuotaExceeded(f"Maximum number of metadata items exceeds {bound}")
