"""Claims: conditional updates on a node's inventories in a fixed order, every one hitting a row, or a rollback."""

from typing import Any
from uuid import UUID

from scheduling import groups
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


def claim(request: PlaceRequest, node_id: UUID) -> bool:
    """Claim the request's resources on a node, and its group's place; False, and nothing changed, where one is short.

    Must run inside a transaction.
    """
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
    amounts = [_amount(node_id, row.resource_class, row.amount) for row in claimed]
    for number, amount in enumerate(amounts):
        if not sql.execute(_TAKE, amount):
            return _given_back(amounts[:number])  # two statements less than a savepoint, where there is room
    if request.group is not None and not groups.take(request.group, request.consumer_id, node_id):
        return _given_back(amounts)
    sql.insert(claimed)
    return True


def release(consumer_id: UUID) -> None:
    """Give back all that a consumer has claimed, once however often it is called; must run inside a transaction."""
    groups.give_back(consumer_id)
    for node_id, resource, amount in sorted(sql.fetch(_RELEASE, {"consumer_id": consumer_id})):
        sql.execute(_GIVE_BACK, _amount(node_id, resource, amount))


def _given_back(amounts: list[dict[str, Any]]) -> bool:
    for taken in amounts:
        sql.execute(_GIVE_BACK, taken)
    return False


def _amount(node_id: Any, resource: str, amount: int) -> dict[str, Any]:
    return {"node_id": node_id, "resource_class": resource, "amount": amount}
