"""Reads of scheduling."""

import itertools
from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from uuid import UUID

from django.db.models import Count, QuerySet, Sum

from scheduling.models import (
    DISK_GB,
    MEMORY_MB,
    VCPU,
    Allocation,
    GroupPlace,
    Inventory,
    Node,
    Policy,
    ServerGroup,
)
from scheduling.request import Candidate, GroupRule, Stock
from workers import sql

# The group that a consumer, the column that is filled in, is a member of: for a list of columns.
GROUP_OF = """(SELECT m.group_id FROM scheduling_groupmember m JOIN scheduling_servergroup g ON g.id = m.group_id
    WHERE m.consumer_id = {})"""
_OF_NODE = 10  # columns of a candidate before those of its stocks
_node_id = lru_cache(maxsize=65_536)(sql.as_uuid)  # each placement reads the same nodes


def candidates(resources: Collection[str]) -> list[Candidate]:
    """Return every node with its stocks of the resource classes that rules look at and of these, in one query.

    A node without any is left out: nothing was told of it yet.
    """
    classes = sorted({VCPU, MEMORY_MB, DISK_GB, *resources})
    named = {f"class_{number}": name for number, name in enumerate(classes)}
    at_columns = list(zip(classes, itertools.count(_OF_NODE, 3)))
    nodes = []
    for row in sql.fetch(_candidates_with(len(classes)), named):
        stocks = {name: Stock._make(row[at : at + 3]) for name, at in at_columns if row[at] is not None}
        if stocks:
            key, name, host, zone, kind, architecture, host_ip, present, enabled, up = row[:_OF_NODE]
            where = _node_id(key), name, host, zone, kind, architecture, host_ip
            nodes.append(Candidate(*where, present, enabled, up, stocks))
    return nodes


@cache
def _candidates_with(classes: int) -> str:
    """Return the statement: a row a node, for a row a stock would say all that is known of the node again."""
    stocks = [f"s{number}" for number in range(classes)]
    free = "({0}.total - {0}.reserved) * {0}.allocation_ratio - {0}.used"
    columns = [f"{one}.total, {one}.used, {free.format(one)}" for one in stocks]
    joins = [
        f"LEFT JOIN scheduling_inventory {one} ON {one}.node_id = n.id AND {one}.resource_class = %(class_{number})s"
        for number, one in enumerate(stocks)
    ]
    return f"""
SELECT n.id, n.name, h.name, n.zone, n.hypervisor_type, n.architecture, n.host_ip, n.present, h.enabled,
    h.alive AND NOT h.forced_down, {", ".join(columns)}
FROM scheduling_node n JOIN workers_host h ON h.id = n.host_id {" ".join(joins)} ORDER BY n.number
"""  # noqa: S608


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
