"""What operators and curious tenants ask about the cloud itself: zones, aggregates, extensions."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.config import CONFIG
from computecloud.wire.errors import NotFound
from instances import selectors
from instances.api.base import ComputeView
from instances.api.compute_services import BINARY, moment, zone_of_hosts
from workers.models import Host


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
        zone_of = zone_of_hosts()
        for host in Host.objects.order_by("name"):
            state = {
                "available": host.is_up,
                "active": host.enabled,
                "updated_at": moment(host.heartbeat_at),
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
