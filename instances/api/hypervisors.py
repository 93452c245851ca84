"""GET /os-hypervisors: the nodes that run guests, as scheduling knows them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, QuerySet
from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import InvalidInput, NotFound, Unavailable
from instances.api.base import ComputeView
from instances.api.queries import HypervisorQuery, HypervisorsQuery
from instances.models import Instance, guest_name
from instances.selectors import as_uuid
from scheduling import selectors as scheduling
from scheduling.models import DISK_GB, MEMORY_MB, VCPU, Node
from workers.ask import ask

_RULE = "os_compute_api:os-hypervisors:"
_NUMBER_MAX_DIGITS = 18
_ANSWER_WITHIN_S = 5.0


class HypervisorViews(ComputeView):
    """What every view of hypervisors has."""

    def supersets(self, nodes: Sequence[Node], *, with_servers: bool) -> list[dict[str, Any]]:
        """Return all that the version shows of these nodes; two more queries, one each before 2.53 and with servers."""
        running = _running([node.name for node in nodes])
        stocks = scheduling.stocks([node.id for node in nodes])
        numbers = {} if self.behaves("hypervisors_by_uuid") else _service_numbers(nodes)
        servers = _servers([node.name for node in nodes]) if with_servers else None
        found = []
        for node in nodes:
            superset = _superset(node, running.get((node.host.name, node.name), 0))
            superset |= _stocks(*stocks[node.id])
            superset["service_by_number"] = {**superset["service"], "id": numbers.get(node.host_id)}
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
            found = self.matching(found, pattern)
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

    def matching(self, among: QuerySet[Node], pattern: str) -> QuerySet[Node]:
        """Return the nodes whose names hold this text; raises NotFound where none does."""
        found = among.filter(name__icontains=pattern)
        if not found.exists():
            raise NotFound(f"No hypervisor matching '{pattern[:255]}' could be found.")
        return found

    def searched(self, pattern: str, view: str, *, with_servers: bool = False) -> HttpResponseBase:
        """Answer every hypervisor whose name holds this text, as asked for before 2.53."""
        self.no_query()
        nodes = list(self.matching(scheduling.nodes(), pattern).order_by("number"))
        project = self.edition.projection("hypervisor", view)
        supersets = self.supersets(nodes, with_servers=with_servers)
        for superset in supersets:
            if not superset.get("servers"):
                superset.pop("servers", None)  # it is there where there are any
        return self.answer({"hypervisors": [project(superset) for superset in supersets]})

    def node(self, hypervisor_id: str) -> Node:
        """Return the node with this id; raises NotFound."""
        found = self.named(scheduling.nodes(), hypervisor_id)
        if found is None:
            raise NotFound(f"Compute host {hypervisor_id} could not be found.")
        return found

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


def _service_numbers(nodes: Sequence[Node]) -> dict[UUID, int]:
    """Return by host what services have as its number before 2.53: that of its first node."""
    on_hosts = Node.objects.filter(host__in={node.host_id for node in nodes}).order_by().values("host")
    rows = on_hosts.annotate(first=Min("number")).values_list("host", "first")
    return {host: int(number) for host, number in rows}


def _uptime(node: Node) -> str | None:
    """Return what the node's machine says of its uptime and load; None where it does not answer."""
    try:
        return str(ask(node.host.name, "uptime", {}, timeout_s=_ANSWER_WITHIN_S))
    except Unavailable:
        return None


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
        "cpu_info": node.cpu_info,
        "cpu_info_text": json.dumps(node.cpu_info),
        "current_workload": 0,
        "running_vms": running,
        "uptime": None,
    }


def _stocks(total: Mapping[str, int], used: Mapping[str, int]) -> dict[str, int]:
    """Return what there is and what is claimed of it, by resource class, under the API's names."""
    have, taken = ({name: of.get(name, 0) for name in (VCPU, MEMORY_MB, DISK_GB)} for of in (total, used))
    return {
        "vcpus": have[VCPU],
        "vcpus_used": taken[VCPU],
        "memory_mb": have[MEMORY_MB],
        "memory_mb_used": taken[MEMORY_MB],
        "free_ram_mb": have[MEMORY_MB] - taken[MEMORY_MB],
        "local_gb": have[DISK_GB],
        "local_gb_used": taken[DISK_GB],
        "free_disk_gb": have[DISK_GB] - taken[DISK_GB],
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
        """Show a hypervisor; where the version shows its uptime, its host is asked."""
        self.enforce(_RULE + "show")
        query = self.query(HypervisorQuery)
        node = self.node(hypervisor_id)
        superset = self.supersets([node], with_servers=self.with_servers(query))[0]
        if self.behaves("hypervisor_shows_uptime") and node.host.is_up:
            superset["uptime"] = _uptime(node)
        return self.answer({"hypervisor": self.project("hypervisor", "detail", superset)})


class HypervisorUptimeView(HypervisorViews):
    """GET /os-hypervisors/{id}/uptime."""

    def get(self, _request: Request, hypervisor_id: str) -> HttpResponseBase:
        """Ask a hypervisor's host how long it has run, and how busy it is."""
        self.enforce(_RULE + "uptime")
        query = self.query(HypervisorQuery)
        node = self.node(hypervisor_id)
        uptime = _uptime(node) if node.host.is_up else None
        if uptime is None:
            raise InvalidInput(f"Compute service of {node.host.name} is unavailable at this time.")
        superset = self.supersets([node], with_servers=self.with_servers(query))[0]
        superset["uptime"] = uptime
        return self.answer({"hypervisor": self.project("hypervisor", "uptime", superset)})


class HypervisorsSearchView(HypervisorViews):
    """GET /os-hypervisors/{pattern}/search."""

    def get(self, _request: Request, pattern: str) -> HttpResponseBase:
        """List the hypervisors whose names hold this text."""
        self.enforce(_RULE + "search")
        return self.searched(pattern, "brief")


class HypervisorsServersView(HypervisorViews):
    """GET /os-hypervisors/{pattern}/servers."""

    def get(self, _request: Request, pattern: str) -> HttpResponseBase:
        """List the hypervisors whose names hold this text with their servers."""
        self.enforce(_RULE + "servers")
        return self.searched(pattern, "servers", with_servers=True)


class HypervisorStatisticsView(HypervisorViews):
    """GET /os-hypervisors/statistics."""

    def get(self, _request: Request) -> HttpResponseBase:
        """Add up what the hypervisors of enabled hosts have and use."""
        self.no_query()
        self.enforce(_RULE + "statistics")
        total, used, count = scheduling.sums()
        servers = Instance.objects.filter(deleted=False, host__in=scheduling.enabled_hosts())
        superset = {
            "count": count,
            "current_workload": 0,
            "running_vms": servers.count(),
            "disk_available_least": 0,
            **_stocks(total, used),
        }
        return self.answer({"hypervisor_statistics": self.project("statistics", "show", superset)})
