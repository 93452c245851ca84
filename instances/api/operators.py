"""What operators and curious tenants ask about the cloud itself: services, zones, limits, extensions."""

from datetime import datetime
from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

import quotas.services
import scheduling.selectors
from computecloud.config import CONFIG
from computecloud.wire.errors import NotFound
from instances import selectors
from instances.api.base import ComputeView
from instances.api.queries import LimitsQuery, ServicesQuery
from instances.services.keypairs import MAX_PER_USER
from instances.services.metadata import MAX_ITEMS
from scheduling import groups
from scheduling.models import Node
from workers.models import Host

BINARY = "nova-compute"
_NO_LIMIT = -1


def _moment(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") if at else None


def _zone_of_hosts() -> dict[str, str]:
    return dict(Node.objects.order_by("-number").values_list("host__name", "zone"))


class ServicesView(ComputeView):
    """GET /os-services."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List the hosts' workers as compute services."""
        self.enforce("os_compute_api:os-services:list")
        query = self.query(ServicesQuery)
        hosts = list(Host.objects.order_by("created_at", "id"))
        zones = _zone_of_hosts()
        project = self.edition.projection("service", "detail")
        found = [
            project(_service(host, number, zones.get(host.name, CONFIG.zone)))
            for number, host in enumerate(hosts, start=1)
            if query.get("host", host.name) == host.name and query.get("binary", BINARY) == BINARY
        ]
        return self.answer({"services": found})


def _service(host: Host, number: int, zone: str) -> dict[str, Any]:
    return {
        "id": host.id,
        "number": number,
        "binary": BINARY,
        "host": host.name,
        "zone": zone,
        "state": "up" if host.is_up else "down",
        "status": "enabled" if host.enabled else "disabled",
        "disabled_reason": host.disabled_reason or None,
        "forced_down": host.forced_down,
        "updated_at": _moment(host.heartbeat_at),
    }


class ZonesView(ComputeView):
    """GET /os-availability-zone."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List the zones and whether they take servers."""
        self.no_query()
        found = [
            {"zoneName": name, "zoneState": {"available": available}, "hosts": None}
            for name, available in sorted(selectors.zones().items())
        ]
        return self.answer({"availabilityZoneInfo": found})


class ZonesDetailView(ComputeView):
    """GET /os-availability-zone/detail."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List the zones with their hosts and how these fare."""
        self.no_query()
        self.enforce("os_compute_api:os-availability-zone:detail")
        zones: dict[str, dict[str, Any]] = {name: {} for name in selectors.zones()}
        zone_of = _zone_of_hosts()
        for host in Host.objects.order_by("name"):
            state = {
                "available": host.is_up,
                "active": host.enabled,
                "updated_at": _moment(host.heartbeat_at),
            }
            zones.setdefault(zone_of.get(host.name, CONFIG.zone), {})[host.name] = {BINARY: state}
        found = [
            {
                "zoneName": name,
                "zoneState": {"available": any(one[BINARY]["available"] for one in hosts.values())},
                "hosts": hosts,
            }
            for name, hosts in sorted(zones.items())
        ]
        return self.answer({"availabilityZoneInfo": found})


class AggregatesView(ComputeView):
    """GET /os-aggregates."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List the host aggregates: there are none, zones are set on the hosts themselves."""
        self.no_query()
        self.enforce("os_compute_api:os-aggregates:index")
        return self.answer({"aggregates": []})


class LimitsView(ComputeView):
    """GET /limits."""

    def get(self, _request: Request) -> HttpResponseBase:
        """Show a project's limits and what it has used of them."""
        query = self.query(LimitsQuery)
        project_id = self.project_id
        if query.get("tenant_id", project_id) != project_id:
            self.enforce("os_compute_api:limits:other_project")
            project_id = query["tenant_id"]
        usage = quotas.services.usage(project_id)
        superset = {
            "maxTotalInstances": usage.instances_limit,
            "maxTotalCores": usage.cores_limit,
            "maxTotalRAMSize": usage.ram_mib_limit,
            "totalInstancesUsed": usage.instances,
            "totalCoresUsed": usage.cores,
            "totalRAMUsed": usage.ram_mib,
            "maxServerMeta": MAX_ITEMS,
            "maxImageMeta": MAX_ITEMS,
            "maxTotalKeypairs": MAX_PER_USER,
            "maxServerGroups": groups.MAX_GROUPS,
            "maxServerGroupMembers": groups.MAX_MEMBERS,
            "totalServerGroupsUsed": scheduling.selectors.groups(project_id).count(),
            "maxPersonality": 0,
            "maxPersonalitySize": 0,
            "maxSecurityGroups": _NO_LIMIT,
            "maxSecurityGroupRules": _NO_LIMIT,
            "maxTotalFloatingIps": _NO_LIMIT,
            "totalFloatingIpsUsed": 0,
            "totalSecurityGroupsUsed": 0,
        }
        return self.answer({"limits": {"rate": [], "absolute": self.project("limits", "absolute", superset)}})


# Clients of the time before microversions look some features up by these aliases.
EXTENSIONS = {
    "os-keypairs": ("Keypairs", "Key pairs that servers are made with."),
    "os-availability-zone": ("AvailabilityZone", "Zones that servers are placed in."),
    "os-hypervisors": ("Hypervisors", "Nodes that run servers."),
    "os-services": ("Services", "Workers of the hosts."),
    "os-instance-actions": ("InstanceActions", "What was done to a server."),
    "os-console-output": ("ConsoleOutput", "What a server wrote to its console."),
    "os-flavor-manage": ("FlavorManage", "Making and removing flavors."),
    "os-flavor-extra-specs": ("FlavorExtraSpecs", "Words about a flavor for the scheduler."),
    "os-flavor-access": ("FlavorAccess", "Flavors for some projects alone."),
    "os-scheduler-hints": ("SchedulerHints", "Wishes of where a server runs."),
    "os-extended-server-attributes": ("ExtendedServerAttributes", "Where and how a server runs, for admins."),
    "os-config-drive": ("ConfigDrive", "A disk that tells a server about itself."),
    "os-user-data": ("UserData", "A text handed to a server."),
}


def _extension(alias: str) -> dict[str, Any]:
    name, description = EXTENSIONS[alias]
    return {
        "alias": alias,
        "name": name,
        "description": description,
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
    }


class ExtensionsView(ComputeView):
    """GET /extensions."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List the features that were once extensions."""
        self.no_query()
        return self.answer({"extensions": [_extension(alias) for alias in sorted(EXTENSIONS)]})


class ExtensionView(ComputeView):
    """GET /extensions/{alias}."""

    def get(self, _request: Request, alias: str) -> HttpResponseBase:
        """Show one of them."""
        self.no_query()
        if alias not in EXTENSIONS:
            raise NotFound("The resource could not be found.")
        return self.answer({"extension": _extension(alias)})
