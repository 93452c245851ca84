"""GET /os-hypervisors: the nodes that run guests, as scheduling knows them."""

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import InvalidInput, NotFound
from instances.api.base import ComputeView
from instances.api.queries import HypervisorQuery, HypervisorsQuery
from instances.models import Instance, guest_name
from instances.selectors import as_uuid
from scheduling import selectors as scheduling
from scheduling.models import DISK_GB, MEMORY_MB, VCPU, Node

_RULE = "os_compute_api:os-hypervisors:"
_NUMBER_MAX_DIGITS = 18


class HypervisorViews(ComputeView):
    """What every view of hypervisors has."""

    def supersets(self, nodes: Sequence[Node], *, with_servers: bool) -> list[dict[str, Any]]:
        """Return all that any version shows of these nodes; one more query, two with servers."""
        running = _running([node.name for node in nodes])
        servers = _servers([node.name for node in nodes]) if with_servers else None
        found = []
        for node in nodes:
            superset = _superset(node, running.get((node.host.name, node.name), 0))
            if servers is not None:
                superset["servers"] = servers.get((node.host.name, node.name), [])
            found.append(superset)
        return found

    def with_servers(self, query: dict[str, Any]) -> bool:
        """Tell whether the servers of each node are asked for."""
        return bool(query.get("with_servers"))

    def listed(self, view: str, rule: str) -> HttpResponseBase:
        """Answer a list of hypervisors."""
        self.enforce(_RULE + rule)
        query = self.query(HypervisorsQuery)
        page = self.page(query)
        found = scheduling.nodes().order_by("number")
        if pattern := query.get("hypervisor_hostname_pattern"):
            found = found.filter(name__icontains=pattern)
            if not found.exists():
                raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
        if page.marker is not None:
            found = found.filter(number__gt=self.marked(found, page.marker).number)
        nodes = list(found[: page.limit])
        project = self.edition.projection("hypervisor", view)
        supersets = self.supersets(nodes, with_servers=self.with_servers(query))
        body: dict[str, Any] = {"hypervisors": [project(superset) for superset in supersets]}
        ids = [node.id if self.behaves("hypervisors_by_uuid") else node.number for node in nodes]
        if (after := self.next_links(page, ids)) and self.behaves("hypervisor_pages"):
            body["hypervisors_links"] = after
        return self.answer(body)

    def marked(self, among: QuerySet[Node], marker: str) -> Node:
        """Return the node that a marker names; raises InvalidInput."""
        node = self.named(among, marker)
        if node is None:
            raise InvalidInput(f"marker [{marker}] not found")
        return node

    def named(self, among: QuerySet[Node], text: str) -> Node | None:
        """Return the node with this id: a uuid, or a number before 2.53."""
        if self.behaves("hypervisors_by_uuid"):
            key = as_uuid(text)
            return among.filter(id=key).first() if key else None
        if not (text.isascii() and text.isdigit() and len(text) <= _NUMBER_MAX_DIGITS):
            return None
        return among.filter(number=int(text)).first()


def _running(names: Sequence[str]) -> dict[tuple[str | None, str | None], int]:
    rows = Instance.objects.filter(deleted=False, node__in=names).values_list("host", "node").order_by()
    return {(host, node): count for host, node, count in rows.annotate(Count("id"))}


def _servers(names: Sequence[str]) -> dict[tuple[str | None, str | None], list[dict[str, Any]]]:
    found: dict[tuple[str | None, str | None], list[dict[str, Any]]] = {}
    rows = Instance.objects.filter(deleted=False, node__in=names).order_by("number")
    for host, node, instance_id, number in rows.values_list("host", "node", "id", "number"):
        found.setdefault((host, node), []).append({"uuid": instance_id, "name": guest_name(number)})
    return found


def _superset(node: Node, running: int) -> dict[str, Any]:
    total = {VCPU: 0, MEMORY_MB: 0, DISK_GB: 0}
    used = dict(total)
    for inventory in node.inventories.all():
        total[inventory.resource_class] = inventory.total
        used[inventory.resource_class] = inventory.used
    service = {"host": node.host.name, "disabled_reason": node.host.disabled_reason or None}
    return {
        "id": node.id,
        "number": node.number,
        "hypervisor_hostname": node.name,
        "state": "up" if node.host.is_up else "down",
        "status": "enabled" if node.host.enabled else "disabled",
        "host_ip": node.host_ip,
        "hypervisor_type": node.hypervisor_type,
        "hypervisor_version": node.hypervisor_version,
        "disk_available_least": None,
        "service": {**service, "id": node.host_id},
        "service_by_number": {**service, "id": node.number},
        "cpu_info": node.cpu_info,
        "cpu_info_text": json.dumps(node.cpu_info),
        "current_workload": 0,
        "running_vms": running,
        "vcpus": total[VCPU],
        "vcpus_used": used[VCPU],
        "memory_mb": total[MEMORY_MB],
        "memory_mb_used": used[MEMORY_MB],
        "free_ram_mb": total[MEMORY_MB] - used[MEMORY_MB],
        "local_gb": total[DISK_GB],
        "local_gb_used": used[DISK_GB],
        "free_disk_gb": total[DISK_GB] - used[DISK_GB],
        "uptime": None,
    }


class HypervisorsView(HypervisorViews):
    """GET /os-hypervisors."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List hypervisors by id and name."""
        return self.listed("brief", "list")


class HypervisorsDetailView(HypervisorViews):
    """GET /os-hypervisors/detail."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List hypervisors with what they have."""
        return self.listed("detail", "list-detail")


class HypervisorView(HypervisorViews):
    """GET /os-hypervisors/{id}."""

    def get(self, _request: Request, hypervisor_id: str) -> HttpResponseBase:
        """Show a hypervisor."""
        self.enforce(_RULE + "show")
        query = self.query(HypervisorQuery)
        node = self.named(scheduling.nodes(), hypervisor_id)
        if node is None:
            raise NotFound(f"Compute host {hypervisor_id} could not be found.")
        superset = self.supersets([node], with_servers=self.with_servers(query))[0]
        return self.answer({"hypervisor": self.project("hypervisor", "detail", superset)})
