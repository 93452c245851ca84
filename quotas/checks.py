"""The invariants of quotas."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db.models import Sum

from quotas.models import Charge, ProjectUsage
from quotas.services import RESOURCES, release
from workers import invariants
from workers.invariants import Violation
from workers.models import Subject


def _counters_are_sums() -> Iterable[Violation]:
    sums: dict[str, Any] = {
        row["project_id"]: row
        for row in Charge.objects.values("project_id").annotate(
            **{f"sum_{name}": Sum(name) for name in RESOURCES}
        )
    }
    for usage in ProjectUsage.objects.all():
        for name in RESOURCES:
            charged = sums.get(usage.project_id, {}).get(f"sum_{name}", 0)
            if getattr(usage, name) != charged:
                yield Violation(
                    f"project {usage.project_id} counts {getattr(usage, name)} {name}, its charges sum to {charged}",
                    fix=partial(_set, usage.project_id, name, charged),
                )


def _charges_have_consumers() -> Iterable[Violation]:
    for charge in Charge.objects.exclude(consumer_id__in=Subject.objects.values("id")):
        yield Violation(
            f"project {charge.project_id} is charged for {charge.consumer_id}, which is gone",
            fix=partial(release, charge.consumer_id),
        )


def _set(project_id: str, name: str, charged: int) -> None:
    ProjectUsage.objects.filter(project_id=project_id).update(**{name: charged})


invariants.register("quota counters are the sums of charges", _counters_are_sums)
invariants.register("charges belong to things that exist", _charges_have_consumers)
