"""What operators ask of hosts, across the rooms: how full each is, and what is on one."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count

from instances.models import Instance
from scheduling.models import Inventory, Node
from workers.models import ACTIVE, Footprint, Host, Operation


@dataclass(slots=True)
class Usage:
    """What is on a host: how many nodes and servers, and by resource class what is claimed of what may be."""

    nodes: int = 0
    servers: int = 0
    capacity: dict[str, tuple[int, int]] = field(default_factory=dict)


def with_usage(name: str | None = None) -> list[tuple[Host, Usage]]:
    """Return the hosts, or the one of this name, each with what is on it; four queries for any number."""
    hosts = list(Host.objects.order_by("name") if name is None else Host.objects.filter(name=name))
    found: dict[str, Usage] = defaultdict(Usage)
    nodes = Node.objects.filter(present=True, host__in=hosts).values_list("host__name")
    for host, count in nodes.annotate(count=Count("id")).order_by():
        found[host].nodes = count
    living = Instance.objects.filter(deleted=False, host__in=[host.name for host in hosts])
    for server_host, count in living.values_list("host").annotate(count=Count("id")).order_by():
        found[str(server_host)].servers = count
    stocks = Inventory.objects.filter(node__present=True, node__host__in=hosts).order_by("resource_class")
    for host, resource, total, reserved, ratio, used in stocks.values_list(
        "node__host__name", "resource_class", "total", "reserved", "allocation_ratio", "used"
    ):
        before_used, before_total = found[host].capacity.get(resource, (0, 0))
        found[host].capacity[resource] = (before_used + used, before_total + int((total - reserved) * ratio))
    return [(host, found[host.name]) for host in hosts]


def inside(host: Host) -> dict[str, Any]:
    """Return what is on a host by name: nodes, servers, active operations, and how many footprints."""
    operations = Operation.objects.filter(host=host.name, state__in=ACTIVE).order_by("created_at")
    return {
        "node_names": list(host.nodes.filter(present=True).values_list("name", flat=True)),
        "server_ids": list(
            Instance.objects.filter(host=host.name, deleted=False).order_by("id").values_list("id", flat=True)
        ),
        "operations": list(operations.values_list("id", flat=True)),
        "footprints": Footprint.objects.filter(host=host.name).count(),
    }
