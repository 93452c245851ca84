"""os-hosts, which versions before 2.43 had beside services and hypervisors."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.config import CONFIG
from computecloud.wire.errors import InvalidInput, NotFound, NotImplementedHere
from instances.api.base import ComputeView
from instances.api.compute_services import zone_of_hosts
from instances.api.operator_bodies import UpdateHost
from instances.api.queries import HostsQuery
from instances.models import Instance
from scheduling import selectors as scheduling
from scheduling.models import DISK_GB, MEMORY_MB, VCPU
from workers import hosts
from workers.models import Host

_RULE = "os_compute_api:os-hosts:"
_SHOWN = (VCPU, MEMORY_MB, DISK_GB)
_POWER = {"startup": "start", "shutdown": "shutdown", "reboot": "reboot"}  # action to rule


class HostsView(ComputeView):
    """GET /os-hosts."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List the hosts, all or those of a zone."""
        self.enforce(_RULE + "list")
        wanted, zones = self.query(HostsQuery).get("zone"), zone_of_hosts()
        found = [
            {"host_name": name, "service": "compute", "zone": zones.get(name, CONFIG.zone)}
            for name in Host.objects.order_by("name").values_list("name", flat=True)
        ]
        return self.answer({"hosts": [one for one in found if not wanted or one["zone"] == wanted]})


class HostView(ComputeView):
    """GET and PUT /os-hosts/{name}."""

    def get(self, _request: Request, name: str) -> HttpResponseBase:
        """Show what a host has, what is claimed of it, and what its servers have, project by project."""
        self.enforce(_RULE + "show")
        _require(name)
        by_project: dict[str, list[int]] = {}
        servers = Instance.objects.filter(deleted=False, host=name).order_by("project_id")
        for project_id, flavor in servers.values_list("project_id", "flavor"):
            of_server = (flavor["vcpus"], flavor["ram"], flavor["disk"] + flavor["ephemeral"])
            before = by_project.get(project_id, [0, 0, 0])
            by_project[project_id] = [sum(pair) for pair in zip(before, of_server, strict=True)]
        total, used, _ = scheduling.sums(host=name)
        amounts = {
            "(total)": [total.get(resource, 0) for resource in _SHOWN],
            "(used_now)": [used.get(resource, 0) for resource in _SHOWN],
            "(used_max)": [sum(column) for column in zip(*by_project.values(), strict=True)] or [0, 0, 0],
            **by_project,
        }
        return self.answer({"host": [_resource(name, whose, *three) for whose, three in amounts.items()]})

    def put(self, _request: Request, name: str) -> HttpResponseBase:
        """Enable or disable a host."""
        self.enforce(_RULE + "update")
        wanted = self.body(UpdateHost)
        if not wanted:
            raise InvalidInput("Invalid input for field/attribute body. Say the 'status': enable or disable.")
        _require(name)
        if "maintenance_mode" in wanted:
            raise NotImplementedHere("Hosts have no maintenance mode here: disable the host, and drain it.")
        if wanted["status"].lower() == "enable":
            hosts.enable(name=name)
            return self.answer({"host": name, "status": "enabled"})
        hosts.disable(name=name, reason=None)
        return self.answer({"host": name, "status": "disabled"})


class HostPowerView(ComputeView):
    """GET /os-hosts/{name}/startup, shutdown and reboot."""

    def get(self, _request: Request, name: str, action: str) -> HttpResponseBase:
        """Refuse it: machines are switched by other means."""
        self.enforce(_RULE + _POWER.get(action, "show"))
        if action not in _POWER:
            raise NotFound("The resource could not be found.")
        _require(name)
        raise NotImplementedHere(f"Machines are not switched here: {action} it by its own means.")


def _require(name: str) -> None:
    """Raise NotFound where there is no such host."""
    if not Host.objects.filter(name=name).exists():
        raise NotFound(f"Compute host {name[:255]} could not be found.")


def _resource(host: str, whose: str, cpu: int, memory_mib: int, disk_gib: int) -> dict[str, Any]:
    of = {"host": host, "project": whose, "cpu": cpu, "memory_mb": memory_mib, "disk_gb": disk_gib}
    return {"resource": of}
