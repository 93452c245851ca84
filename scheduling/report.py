"""A host's report: its driver's nodes, what they have, and their traits, written by the host's own worker."""

from collections.abc import Iterator
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Max

from computecloud.config import CONFIG
from hypervisors.driver import DriverError, NodeFacts
from scheduling.models import DISK_GB, MEMORY_MB, VCPU, Allocation, Inventory, Node
from workers import audits, sql
from workers.driver import driver
from workers.models import Host, utc_now

log = structlog.get_logger()


def report(host: Host) -> None:
    """Write what the driver says of the host's nodes; a hypervisor that does not answer is asked again later."""
    try:
        write(host, driver().nodes())
    except DriverError as error:
        log.warning("report.failed", host=host.name, error=error.message)


def look(host: str) -> Iterator[str]:
    """Report anew, and say which nodes came, went or changed their sizes; raises DriverError."""
    taken = Host.objects.filter(name=host).first()
    if taken is None:
        return
    before = _sizes(taken)
    write(taken, driver().nodes())
    after = _sizes(taken)
    for node in sorted(before.keys() | after.keys()):
        if node not in after:
            yield f"node {node} is not there any more"
        elif node not in before:
            yield f"node {node} is new"
        elif before[node] != after[node]:
            yield f"node {node} has {after[node]}, had {before[node]}"


def _sizes(host: Host) -> dict[str, dict[str, int]]:
    """Return what each present node has in all, by resource class."""
    sizes: dict[str, dict[str, int]] = {}
    rows = Inventory.objects.filter(node__host=host, node__present=True).order_by("resource_class")
    for node, resource, total in rows.values_list("node__name", "resource_class", "total"):
        sizes.setdefault(node, {})[resource] = total
    return sizes


def write(host: Host, facts: tuple[NodeFacts, ...]) -> None:
    """Write nodes and inventories; what is claimed stays, nodes that are no longer reported count as absent."""
    with transaction.atomic():
        Node.objects.filter(host=host).exclude(id__in=[node.uuid for node in facts]).update(present=False)
        known = set(Node.objects.filter(host=host).values_list("id", flat=True))
        number = Node.objects.aggregate(highest=Max("number"))["highest"] or 0
        new = [node for node in facts if node.uuid not in known]
        Node.objects.bulk_create(
            [_node(host, node, number + index) for index, node in enumerate(new, start=1)], batch_size=200
        )
        Node.objects.bulk_update(
            [_node(host, node, 0) for node in facts if node.uuid in known], _UPDATED, batch_size=100
        )
        Inventory.objects.bulk_create(
            [row for node in facts for row in _inventories(node)],
            update_conflicts=True,
            unique_fields=["node", "resource_class"],
            update_fields=["total", "reserved", "allocation_ratio"],
            batch_size=200,
        )


_FORGET = """
DELETE FROM scheduling_inventory
WHERE used = 0 AND resource_class = %(resource_class)s
    AND node_id IN (SELECT id FROM scheduling_node WHERE host_id = %(host_id)s)
"""


def forget(host: Host) -> bool:
    """Remove a host's nodes, on which nothing may be claimed any more; False where something is. In a transaction.

    A claim that comes at the same moment finds no inventory, or is found by this; both go by class in the same order.
    """
    nodes = Node.objects.filter(host=host)
    classes = Inventory.objects.filter(node__in=nodes).values_list("resource_class", flat=True).distinct()
    for resource in sorted(classes):
        sql.execute(_FORGET, {"host_id": host.id, "resource_class": resource})
    if (
        Inventory.objects.filter(node__in=nodes).exists()
        or Allocation.objects.filter(node__in=nodes).exists()
    ):
        return False
    nodes.delete()
    return True


_UPDATED = [
    "zone", "hypervisor_type", "hypervisor_version", "architecture", "cpu_info", "host_ip", "traits", "present",
    "reported_at",
]  # fmt: skip


def _node(host: Host, facts: NodeFacts, number: int) -> Node:
    values: dict[str, Any] = {"number": number} if number else {}
    return Node(
        id=facts.uuid,
        host=host,
        name=facts.name,
        zone=CONFIG.zone,
        hypervisor_type=facts.hypervisor_type,
        hypervisor_version=facts.hypervisor_version,
        architecture=facts.architecture,
        cpu_info=facts.cpu_info,
        host_ip=facts.host_ip,
        traits=sorted(facts.traits),
        present=True,
        reported_at=utc_now(),
        **values,
    )


def _inventories(facts: NodeFacts) -> list[Inventory]:
    def stock(resource: str, total: int, reserved: int, ratio: float) -> Inventory:
        return Inventory(
            node_id=facts.uuid,
            resource_class=resource,
            total=total,
            reserved=reserved,
            allocation_ratio=ratio,
        )

    return [
        stock(VCPU, facts.vcpus, 0, CONFIG.cpu_allocation_ratio),
        stock(MEMORY_MB, facts.memory_mib, CONFIG.reserved_memory_mib, CONFIG.memory_allocation_ratio),
        stock(DISK_GB, facts.disk_gib, CONFIG.reserved_disk_gib, CONFIG.disk_allocation_ratio),
    ]


audits.register(audits.Audit("nodes", "reports each host's nodes and what they have", 60, look, on_host=True))
