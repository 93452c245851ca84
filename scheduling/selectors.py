"""Reads of scheduling."""

from uuid import UUID

from django.db.models import QuerySet

from scheduling.models import Allocation, Decision, Inventory, Node
from scheduling.request import Candidate, Stock


def candidates() -> list[Candidate]:
    """Return every node with its stocks, in one query."""
    nodes: dict[UUID, Candidate] = {}
    rows = Inventory.objects.order_by("node__number").values_list(
        "node_id", "node__name", "node__host__name", "node__zone", "node__hypervisor_type", "node__architecture",
        "node__present", "node__host__enabled", "node__host__alive", "node__host__forced_down",
        "resource_class", "total", "reserved", "allocation_ratio", "used",
    )  # fmt: skip
    for row in rows:
        node = nodes.get(row[0])
        if node is None:
            node = nodes[row[0]] = Candidate(*row[:8], up=row[8] and not row[9])
        node.stocks[row[10]] = Stock(*row[11:])
    return list(nodes.values())


def allocation_of(consumer_id: UUID) -> dict[str, int]:
    """Return what a consumer has claimed, by resource class."""
    rows = Allocation.objects.filter(consumer_id=consumer_id)
    return dict(rows.values_list("resource_class", "amount"))


def decisions_for(consumer_id: UUID) -> QuerySet[Decision]:
    """Return why a consumer is where it is, newest first."""
    return Decision.objects.filter(consumer_id=consumer_id)


def nodes() -> QuerySet[Node]:
    """Return the nodes that their drivers report, with hosts and inventories, by name."""
    return Node.objects.filter(present=True).select_related("host").prefetch_related("inventories")
