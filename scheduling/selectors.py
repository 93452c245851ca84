"""Reads of scheduling."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from scheduling.models import Allocation, Node
from scheduling.request import Candidate, Stock
from workers import sql

_CANDIDATES = """
SELECT n.id, n.name, h.name, n.zone, n.hypervisor_type, n.architecture, n.present, h.enabled,
    h.alive AND NOT h.forced_down, i.resource_class, i.total, i.reserved, i.allocation_ratio, i.used
FROM scheduling_inventory i JOIN scheduling_node n ON n.id = i.node_id JOIN workers_host h ON h.id = n.host_id
ORDER BY n.number
"""


def candidates() -> list[Candidate]:
    """Return every node with its stocks, in one query."""
    nodes: dict[Any, Candidate] = {}
    for row in sql.fetch(_CANDIDATES, {}):
        node = nodes.get(row[0])
        if node is None:
            node = nodes[row[0]] = Candidate(sql.as_uuid(row[0]), *row[1:6], *map(bool, row[6:9]))
        node.stocks[row[9]] = Stock(*row[10:])
    return list(nodes.values())


def allocation_of(consumer_id: UUID) -> dict[str, int]:
    """Return what a consumer has claimed, by resource class."""
    rows = Allocation.objects.filter(consumer_id=consumer_id)
    return dict(rows.values_list("resource_class", "amount"))


def nodes() -> QuerySet[Node]:
    """Return the nodes that their drivers report, with hosts and inventories, by name."""
    return Node.objects.filter(present=True).select_related("host").prefetch_related("inventories")
