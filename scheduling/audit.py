"""The capacity audit: inventories, allocations and the things they are for must agree; differences are mended."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from scheduling import claims
from scheduling.models import Allocation, GroupPlace, Inventory, Policy, ServerGroup
from workers import invariants
from workers.invariants import Violation
from workers.models import Mend, Subject

AUDIT = "capacity"


def audit() -> None:
    """Release the claims of things that are gone, and set every counter to what it counts."""
    for consumer_id in orphans():
        with transaction.atomic():
            claims.release(consumer_id)
            Mend.objects.create(
                audit=AUDIT, subject=str(consumer_id), what="released the claim of a thing that is gone"
            )
    for inventory in drifted():
        with transaction.atomic():
            counted = Inventory.objects.filter(id=inventory.id, used=inventory.used)
            if counted.update(used=_sum()):
                what = f"{inventory} counted {inventory.used}, its allocations sum to {inventory.summed}"  # type: ignore[attr-defined]
                Mend.objects.create(audit=AUDIT, subject=str(inventory.node_id), what=what)
    for group in miscounted():
        with transaction.atomic():
            if ServerGroup.objects.filter(id=group.id, placed=group.placed).update(placed=_places()):
                what = f"server group {group.id} counted {group.placed} places, it has others"
                Mend.objects.create(audit=AUDIT, subject=str(group.id), what=what)


def orphans() -> list[UUID]:
    """Return the consumers of claims that are not subjects any more."""
    gone = Allocation.objects.exclude(consumer_id__in=Subject.objects.values("id"))
    return list(gone.values_list("consumer_id", flat=True).distinct())


def drifted() -> list[Inventory]:
    """Return the inventories whose counter is not the sum of their allocations."""
    return list(Inventory.objects.annotate(summed=_sum()).exclude(used=F("summed")))


def miscounted() -> list[ServerGroup]:
    """Return the affinity groups whose counter is not the number of their places."""
    return list(ServerGroup.objects.filter(policy=Policy.AFFINITY.value).exclude(placed=_places()))


def _places() -> Coalesce:
    held = GroupPlace.objects.filter(group=OuterRef("id")).order_by().values("group")
    return Coalesce(Subquery(held.annotate(count=Count("id")).values("count")), 0)


def _sum() -> Coalesce:
    held = Allocation.objects.filter(node=OuterRef("node"), resource_class=OuterRef("resource_class"))
    return Coalesce(
        Subquery(held.order_by().values("node").annotate(amount_sum=Sum("amount")).values("amount_sum")), 0
    )


def _counters_are_sums() -> Iterable[Violation]:
    for inventory in drifted():
        yield Violation(
            f"{inventory} counts {inventory.used}, not the sum of its allocations",
            fix=audit,
        )


def _claims_have_consumers() -> Iterable[Violation]:
    for consumer_id in orphans():
        yield Violation(f"{consumer_id} holds a claim and is gone", fix=audit)


def _groups_count_their_places() -> Iterable[Violation]:
    for group in miscounted():
        yield Violation(f"server group {group.id} counts {group.placed} places, not those it has", fix=audit)


invariants.register("server groups count their places", _groups_count_their_places)
invariants.register("inventory counters are the sums of allocations", _counters_are_sums)
invariants.register("claims belong to things that exist", _claims_have_consumers)
