"""The invariants of quotas."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from quotas import tallies
from quotas.models import COUNTED, Charge, ProjectUsage
from quotas.services import release
from workers import invariants, sql
from workers.invariants import Violation
from workers.models import Subject

_COUNT_AGAIN = """
UPDATE quotas_projectusage SET {name} = (
    SELECT COALESCE(SUM(c.{name}), 0) FROM quotas_charge c WHERE c.project_id = quotas_projectusage.project_id)
WHERE project_id = %(project_id)s AND {name} = %(seen)s AND {name} <> (
    SELECT COALESCE(SUM(c.{name}), 0) FROM quotas_charge c WHERE c.project_id = quotas_projectusage.project_id)
"""
_others: list[Callable[[], QuerySet[Any, UUID]]] = []


def charged_too(ids: Callable[[], QuerySet[Any, UUID]]) -> None:
    """Have things be charged that are no subjects; ids returns a query of what there is of them."""
    _others.append(ids)


def _counters_are_sums() -> Iterable[Violation]:
    # One statement, so that no charge comes between a counter and its sum.
    for usage in ProjectUsage.objects.annotate(**{f"sum_{name}": _sum(name) for name in COUNTED}):
        for name in COUNTED:
            charged, seen = getattr(usage, f"sum_{name}"), getattr(usage, name)
            if seen != charged:
                yield Violation(
                    f"project {usage.project_id} counts {seen} {name}, its charges sum to {charged}",
                    fix=partial(_count_again, usage.project_id, name, seen),
                    cause="a row that was edited by hand, or comes from an older backup",
                    subject=usage.project_id,
                )


def _sum(name: str) -> Coalesce:
    charges = Charge.objects.filter(project_id=OuterRef("project_id")).order_by().values("project_id")
    return Coalesce(Subquery(charges.annotate(total=Sum(name)).values("total")), 0)


def _charges_have_consumers() -> Iterable[Violation]:
    gone = Charge.objects.exclude(consumer_id__in=Subject.objects.values("id"))
    for ids in _others:
        gone = gone.exclude(consumer_id__in=ids())
    for charge in gone:
        yield Violation(
            f"project {charge.project_id} is charged for {charge.consumer_id}, which is gone",
            fix=partial(_release, charge.consumer_id),
            cause="what it was for was removed, and its charge was not: a row that was edited by hand, or a backup",
            subject=str(charge.consumer_id),
        )


def _tallies_count_what_is_there() -> Iterable[Violation]:
    for tally, there in tallies.wrong():
        yield Violation(
            f"{tally.owner} is counted with {tally.used} {tally.resource} and has {there}",
            fix=partial(tallies.count_again, tally),
            cause="a row that was edited by hand, comes from an older backup, or was made by the version before",
            subject=tally.owner,
        )


def _count_again(project_id: str, name: str, seen: int) -> int:
    """Set a counter to the sum of its charges, in one statement; 0 where it was counted on meanwhile."""
    return sql.execute(_COUNT_AGAIN.format(name=name), {"project_id": project_id, "seen": seen})


def _release(consumer_id: UUID) -> bool:
    with transaction.atomic():
        return release(consumer_id)


invariants.register("quota counters are the sums of charges", _counters_are_sums)
invariants.register("charges belong to things that exist", _charges_have_consumers)
invariants.register("tallies count what is there", _tallies_count_what_is_there)
