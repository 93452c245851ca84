"""Reads of scheduling."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet, Sum

from scheduling.models import Allocation, GroupPlace, Inventory, Node, Policy, ServerGroup
from scheduling.request import Candidate, GroupRule, Stock
from workers import sql

_CANDIDATES = """
SELECT n.id, n.name, h.name, n.zone, n.hypervisor_type, n.architecture, n.host_ip, n.present, h.enabled,
    h.alive AND NOT h.forced_down, i.resource_class, i.total, i.reserved, i.allocation_ratio, i.used
FROM scheduling_inventory i JOIN scheduling_node n ON n.id = i.node_id JOIN workers_host h ON h.id = n.host_id
ORDER BY n.number
"""
# The group that a consumer, the column that is filled in, is a member of: for a list of columns.
GROUP_OF = """(SELECT m.group_id FROM scheduling_groupmember m JOIN scheduling_servergroup g ON g.id = m.group_id
    WHERE m.consumer_id = {})"""


def candidates() -> list[Candidate]:
    """Return every node with its stocks, in one query."""
    nodes: dict[Any, Candidate] = {}
    for row in sql.fetch(_CANDIDATES, {}):
        node = nodes.get(row[0])
        if node is None:
            node = nodes[row[0]] = Candidate(sql.as_uuid(row[0]), *row[1:7], *map(bool, row[7:10]))
        node.stocks[row[10]] = Stock(*row[11:])
    return list(nodes.values())


def traits() -> dict[UUID, frozenset[str]]:
    """Return the traits of each node."""
    return {id_: frozenset(names) for id_, names in Node.objects.order_by().values_list("id", "traits")}


def standing(consumers: Collection[UUID], project_id: str) -> dict[UUID, set[UUID]]:
    """Return which of these consumers stand on which node; another project's stand nowhere."""
    rows = Allocation.objects.filter(consumer_id__in=consumers, project_id=project_id)
    found: dict[UUID, set[UUID]] = {}
    for node_id, consumer_id in rows.values_list("node_id", "consumer_id"):
        found.setdefault(node_id, set()).add(consumer_id)
    return found


def group_rule(group_id: UUID) -> GroupRule | None:
    """Return what a group asks of its next member; None where the group is gone."""
    group = ServerGroup.objects.filter(id=group_id).first()
    if group is None:
        return None
    anchor = group.anchor_id if group.policy == Policy.AFFINITY and group.placed else None
    return GroupRule(group.id, group.policy, group.max_per_node or 1, anchor)


def group_places(group_id: UUID) -> dict[UUID, int]:
    """Return how many members of a group stand on each node."""
    rows = GroupPlace.objects.filter(group_id=group_id).values("node_id").annotate(count=Count("id"))
    return {row["node_id"]: row["count"] for row in rows}


def groups(project_id: str | None) -> QuerySet[ServerGroup]:
    """Return a project's server groups, or every project's, oldest first, with their members."""
    every = ServerGroup.objects.prefetch_related("members")
    return every if project_id is None else every.filter(project_id=project_id)


def allocation_of(consumer_id: UUID) -> dict[str, int]:
    """Return what a consumer has claimed, by resource class."""
    rows = Allocation.objects.filter(consumer_id=consumer_id)
    return dict(rows.values_list("resource_class", "amount"))


def nodes() -> QuerySet[Node]:
    """Return the nodes that their drivers report, with hosts, by name; without traits and when they were reported."""
    return Node.objects.filter(present=True).select_related("host").defer("traits", "reported_at")


def stocks(node_ids: Sequence[UUID]) -> dict[UUID, tuple[dict[str, int], dict[str, int]]]:
    """Return what nodes have and what is claimed of it, by resource class; one query and no row objects."""
    found: dict[UUID, tuple[dict[str, int], dict[str, int]]] = {one: ({}, {}) for one in node_ids}
    rows = Inventory.objects.filter(node__in=node_ids).order_by()
    for node_id, resource, had, taken in rows.values_list("node_id", "resource_class", "total", "used"):
        total, used = found[node_id]
        total[resource], used[resource] = had, taken
    return found


def enabled_hosts() -> QuerySet[Node, str]:
    """Return the names of the enabled hosts whose drivers report nodes, as a query."""
    return Node.objects.filter(present=True, host__enabled=True).values_list("host__name", flat=True)


def sums(*, host: str | None = None) -> tuple[dict[str, int], dict[str, int], int]:
    """Return what nodes have and what is claimed of it, by resource class, and how many they are.

    The nodes are those of a host, or without one those of all enabled hosts.
    """
    of = {"host__enabled": True} if host is None else {"host__name": host}
    there = Node.objects.filter(present=True, **of)
    rows = Inventory.objects.filter(node__in=there).values_list("resource_class").order_by()
    total, used = {}, {}
    for resource, had, taken in rows.annotate(Sum("total"), Sum("used")):
        total[resource], used[resource] = had, taken
    return total, used, there.count()
