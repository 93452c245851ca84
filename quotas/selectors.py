"""Reads of limits and of what is used of them."""

from quotas.models import COUNTED, DEFAULT_CLASS, LIMITED, UNLIMITED, ProjectUsage, QuotaClass
from workers import sql


def defaults() -> dict[str, int]:
    """Return the limits of projects that have none of their own, by resource."""
    row = QuotaClass.objects.filter(name=DEFAULT_CLASS).first() or QuotaClass(name=DEFAULT_CLASS)
    return {name: getattr(row, f"{name}_limit") for name in LIMITED}


def usage(project_id: str) -> ProjectUsage:
    """Return a project's own limits and usage; unsaved and empty where it has no row yet."""
    return ProjectUsage.objects.filter(project_id=project_id).first() or ProjectUsage(project_id=project_id)


def limits_of(row: ProjectUsage) -> dict[str, int]:
    """Return the limits that count for a project, by resource: its own, or else the defaults."""
    own = {name: getattr(row, f"{name}_limit") for name in LIMITED}
    return {name: amount if own[name] is None else own[name] for name, amount in defaults().items()}


def limits(project_id: str) -> dict[str, int]:
    """Return the limits that count for a project; two queries."""
    return limits_of(usage(project_id))


def limit(project_id: str, resource: str) -> int:
    """Return one limit that counts for a project; one query."""
    [(amount,)] = sql.fetch(f"SELECT {limit_sql(resource)}", {"project_id": project_id})
    return defaults()[resource] if amount is None else int(amount)


def limit_sql(resource: str) -> str:
    """Return the limit that counts for the project %(project_id)s as an expression; null before there are defaults."""
    column = f"{resource}_limit"
    own = f"SELECT {column} FROM quotas_projectusage WHERE project_id = %(project_id)s"  # noqa: S608
    default = f"SELECT {column} FROM quotas_quotaclass WHERE name = '{DEFAULT_CLASS}'"  # noqa: S608
    return f"COALESCE(({own}), ({default}))"


def over(row: ProjectUsage, amounts: dict[str, int]) -> list[str]:
    """Return the counted resources of which these amounts more would be over the project's limits."""
    bounds = limits_of(row)
    return [
        name
        for name in COUNTED
        if amounts[name] and bounds[name] != UNLIMITED and getattr(row, name) + amounts[name] > bounds[name]
    ]
