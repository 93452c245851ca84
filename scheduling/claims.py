"""Claims: conditional updates on a node's inventories in a fixed order, every one hitting a row, or a rollback."""

from uuid import UUID

from django.db import transaction
from django.db.models import F

from scheduling.models import Allocation, Inventory
from scheduling.request import PlaceRequest


class NoRoom(Exception):
    """An inventory has less left than is asked for."""


def claim(request: PlaceRequest, node_id: UUID) -> bool:
    """Claim the request's resources on a node; False, and nothing changed, where one of them is short."""
    asked = {resource: amount for resource, amount in sorted(request.resources.items()) if amount}
    try:
        with transaction.atomic():
            for resource, amount in asked.items():
                room = Inventory.objects.filter(
                    node_id=node_id,
                    resource_class=resource,
                    used__lte=(F("total") - F("reserved")) * F("allocation_ratio") - amount,
                )
                if not room.update(used=F("used") + amount):
                    raise NoRoom
            Allocation.objects.bulk_create(
                [
                    Allocation(
                        consumer_id=request.consumer_id,
                        node_id=node_id,
                        resource_class=resource,
                        amount=amount,
                        project_id=request.project_id,
                    )
                    for resource, amount in asked.items()
                ]
            )
    except NoRoom:
        return False
    return True


def release(consumer_id: UUID) -> None:
    """Give back all that a consumer has claimed, once however often it is called; must run inside a transaction."""
    held = Allocation.objects.filter(consumer_id=consumer_id).order_by("node_id", "resource_class")
    for key, node_id, resource, amount in list(held.values_list("id", "node_id", "resource_class", "amount")):
        if Allocation.objects.filter(id=key).delete()[0]:
            Inventory.objects.filter(node_id=node_id, resource_class=resource).update(used=F("used") - amount)
