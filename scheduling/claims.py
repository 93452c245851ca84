"""Claims: conditional updates on a node's inventories in a fixed order, every one hitting a row, or a rollback."""

from uuid import UUID

from django.db import transaction

from scheduling.models import Allocation
from scheduling.request import PlaceRequest
from workers import sql

_TAKE = """
UPDATE scheduling_inventory SET used = used + %(amount)s
WHERE node_id = %(node_id)s AND resource_class = %(resource_class)s
    AND used + %(amount)s <= (total - reserved) * allocation_ratio
"""
_RELEASE = """
DELETE FROM scheduling_allocation WHERE consumer_id = %(consumer_id)s RETURNING node_id, resource_class, amount
"""
_GIVE_BACK = """
UPDATE scheduling_inventory SET used = used - %(amount)s
WHERE node_id = %(node_id)s AND resource_class = %(resource_class)s
"""


class NoRoom(Exception):
    """An inventory has less left than is asked for."""


def claim(request: PlaceRequest, node_id: UUID) -> bool:
    """Claim the request's resources on a node; False, and nothing changed, where one of them is short."""
    claimed = [
        Allocation(
            consumer_id=request.consumer_id,
            node_id=node_id,
            resource_class=resource,
            amount=amount,
            project_id=request.project_id,
        )
        for resource, amount in sorted(request.resources.items())
        if amount
    ]
    try:
        with transaction.atomic():
            for row in claimed:
                taken = {"node_id": node_id, "resource_class": row.resource_class, "amount": row.amount}
                if not sql.execute(_TAKE, taken):
                    raise NoRoom
            sql.insert(claimed)
    except NoRoom:
        return False
    return True


def release(consumer_id: UUID) -> None:
    """Give back all that a consumer has claimed, once however often it is called; must run inside a transaction."""
    for node_id, resource, amount in sorted(sql.fetch(_RELEASE, {"consumer_id": consumer_id})):
        sql.execute(_GIVE_BACK, {"node_id": node_id, "resource_class": resource, "amount": amount})
