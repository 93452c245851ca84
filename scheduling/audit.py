"""Inventories and allocations must agree; what differs is counted again, or given back."""

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

import quotas.checks
import quotas.services
from quotas.models import Charge
from quotas.services import Demand
from scheduling import claims
from scheduling.models import Allocation, GroupPlace, Inventory, Policy, ServerGroup
from workers import invariants
from workers.invariants import Violation
from workers.models import Subject


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


def _count_again(inventory: Inventory) -> int:
    """Set a counter to the sum of its allocations; 0 where it was counted on meanwhile."""
    return (
        Inventory.objects.filter(id=inventory.id, used=inventory.used)
        .exclude(used=_sum())
        .update(used=_sum())
    )


def _count_places_again(group: ServerGroup) -> int:
    """Set a group's counter to the number of its places; 0 where it was counted on meanwhile."""
    return ServerGroup.objects.filter(id=group.id, placed=group.placed).update(placed=_places())


def _give_back(consumer_id: UUID) -> bool:
    with transaction.atomic():
        claims.release(consumer_id)
    return True


def _charge(group: ServerGroup) -> bool:
    """Charge a group to its project; raises QuotaExceeded where that has no room."""
    with transaction.atomic():
        if not ServerGroup.objects.filter(id=group.id).exists() or _is_charged(group):
            return False
        quotas.services.charge(group.project_id, [group.id], Demand(server_groups=1))
    return True


def _is_charged(group: ServerGroup) -> bool:
    return Charge.objects.filter(consumer_id=group.id).exists()


def _groups_are_charged() -> Iterable[Violation]:
    for group in ServerGroup.objects.exclude(id__in=Charge.objects.values("consumer_id")):
        yield Violation(
            f"server group {group.id} is not charged to project {group.project_id}",
            fix=partial(_charge, group),
            cause="a row that was edited by hand, comes from an older backup, or was made by the version before",
            subject=str(group.id),
        )


def _counters_are_sums() -> Iterable[Violation]:
    for inventory in drifted():
        yield Violation(
            f"{inventory} counts {inventory.used}, not the {inventory.summed} of its allocations",  # type: ignore[attr-defined]
            fix=partial(_count_again, inventory),
            cause="a row that was edited by hand, or comes from an older backup",
            subject=str(inventory.node_id),
        )


def _claims_have_consumers() -> Iterable[Violation]:
    for consumer_id in orphans():
        yield Violation(
            f"{consumer_id} holds a claim and is gone",
            fix=partial(_give_back, consumer_id),
            cause="its server was removed, and its claim was not: a row that was edited by hand, or a backup",
            subject=str(consumer_id),
        )


def _groups_count_their_places() -> Iterable[Violation]:
    for group in miscounted():
        yield Violation(
            f"server group {group.id} counts {group.placed} places, not those it has",
            fix=partial(_count_places_again, group),
            cause="a row that was edited by hand, or comes from an older backup",
            subject=str(group.id),
        )


quotas.checks.charged_too(lambda: ServerGroup.objects.values_list("id", flat=True))
invariants.register("server groups are charged", _groups_are_charged)
invariants.register("server groups count their places", _groups_count_their_places)
invariants.register("inventory counters are the sums of allocations", _counters_are_sums)
invariants.register("claims belong to things that exist", _claims_have_consumers)
