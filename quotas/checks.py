"""The invariants of quotas."""

from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from quotas.models import Charge, ProjectUsage
from quotas.services import RESOURCES, release
from workers import invariants, sql
from workers.invariants import Violation
from workers.models import Subject

_COUNT_AGAIN = """
UPDATE quotas_projectusage SET {name} = (
    SELECT COALESCE(SUM(c.{name}), 0) FROM quotas_charge c WHERE c.project_id = quotas_projectusage.project_id)
WHERE project_id = %(project_id)s AND {name} = %(seen)s AND {name} <> (
    SELECT COALESCE(SUM(c.{name}), 0) FROM quotas_charge c WHERE c.project_id = quotas_projectusage.project_id)
"""


def _counters_are_sums() -> Iterable[Violation]:
    sums: dict[str, Any] = {
        row["project_id"]: row
        for row in Charge.objects.values("project_id").annotate(
            **{f"sum_{name}": Sum(name) for name in RESOURCES}
        )
    }
    for usage in ProjectUsage.objects.all():
        for name in RESOURCES:
            charged, seen = sums.get(usage.project_id, {}).get(f"sum_{name}", 0), getattr(usage, name)
            if seen != charged:
                yield Violation(
                    f"project {usage.project_id} counts {seen} {name}, its charges sum to {charged}",
                    fix=partial(_count_again, usage.project_id, name, seen),
                    cause="a row that was edited by hand, or comes from an older backup",
                    subject=usage.project_id,
                )


def _charges_have_consumers() -> Iterable[Violation]:
    for charge in Charge.objects.exclude(consumer_id__in=Subject.objects.values("id")):
        yield Violation(
            f"project {charge.project_id} is charged for {charge.consumer_id}, which is gone",
            fix=partial(_release, charge.consumer_id),
            cause="its server was removed, and its charge was not: a row that was edited by hand, or a backup",
            subject=str(charge.consumer_id),
        )


def _count_again(project_id: str, name: str, seen: int) -> int:
    """Set a counter to the sum of its charges, in one statement; 0 where it was counted on meanwhile."""
    return sql.execute(_COUNT_AGAIN.format(name=name), {"project_id": project_id, "seen": seen})


def _release(consumer_id: UUID) -> bool:
    with transaction.atomic():
        return release(consumer_id)


invariants.register("quota counters are the sums of charges", _counters_are_sums)
invariants.register("charges belong to things that exist", _charges_have_consumers)
