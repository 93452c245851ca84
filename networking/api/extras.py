"""What clients ask beside networks: extensions, quotas, the default security group, the automatic network."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import InvalidInput, NotFound
from networking import services
from networking.api.documents import default_group_id
from networking.api.views import NetworkApiView
from networking.services import counting

EXTENSIONS = {  # only what is true of this API
    "auto-allocated-topology": "Auto Allocated Topology Services",
    "external-net": "Neutron external network",
    "filter-validation": "Filter parameters validation",
    "ip-substring-filtering": "IP address substring filtering",
    "net-mtu": "Network MTU",
    "pagination": "Pagination support",
    "project-id": "project_id field enabled",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-timestamp": "Resource timestamps",
}
_UPDATED = "2026-01-01T00:00:00Z"
_GROUP_NOTE = "Security groups are not built yet: all traffic passes, but for forged addresses."


class Extensions(NetworkApiView):
    """What this API has beyond its core."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List the extensions."""
        return self.answer({"extensions": [_extension(alias) for alias in EXTENSIONS]})


class Extension(NetworkApiView):
    """One extension."""

    def get(self, _request: Request, alias: str) -> HttpResponseBase:
        """Show it."""
        if alias not in EXTENSIONS:
            raise NotFound(f"Extension with alias {alias[:64]} does not exist")
        return self.answer({"extension": _extension(alias)})


class Quotas(NetworkApiView):
    """Projects with limits of their own: there are none."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List them."""
        return self.answer({"quotas": []})


class Quota(NetworkApiView):
    """How much a project may have; the same for all."""

    def get(self, _request: Request, project_id: str, part: str = "") -> HttpResponseBase:
        """Show the limits, the default ones, or with `details` also what is used."""
        if project_id != self.project_id and not self.caller.is_admin:
            raise NotFound(f"Quota for tenant {project_id[:64]} could not be found")
        if not part or part == "default":
            return self.answer({"quota": counting.LIMITS})
        used = counting.used(project_id)
        details = {
            name: {"limit": limit, "used": used[name], "reserved": 0}
            for name, limit in counting.LIMITS.items()
        }
        return self.answer({"quota": details})


class SecurityGroups(NetworkApiView):
    """The caller's project has one group."""

    def get(self, request: Request) -> HttpResponseBase:
        """List it, where the query's name, id or project is its own."""
        group = _group(self.project_id)
        query = request._request.GET
        for key in ("id", "name", "project_id", "tenant_id"):
            if key in query and str(group[key]) not in query.getlist(key):
                return self.answer({"security_groups": []})
        return self.answer({"security_groups": [group]})


class SecurityGroup(NetworkApiView):
    """The default group."""

    def get(self, _request: Request, group_id: str) -> HttpResponseBase:
        """Show it."""
        if group_id != default_group_id(self.project_id):
            raise NotFound(f"Security group {group_id[:64]} does not exist")
        return self.answer({"security_group": _group(self.project_id)})


class SecurityGroupRules(NetworkApiView):
    """The rules of the default group."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List them."""
        return self.answer({"security_group_rules": _rules(self.project_id)})


class AutoAllocatedTopology(NetworkApiView):
    """The network of servers that ask for `auto`."""

    def get(self, request: Request, project_id: str) -> HttpResponseBase:
        """Show it; it is made where it is not there. `?fields=dry-run` only asks whether it could be."""
        project_id = self.project_id if project_id == "None" else project_id
        if project_id != self.project_id and not self.caller.is_admin:
            raise NotFound(f"Auto-allocated topology of tenant {project_id[:64]} could not be found")
        if len(project_id) > 64 or not project_id.isalnum():
            raise InvalidInput(f"'{project_id[:64]}' is not the id of a project.")
        dry_run = "dry-run" in request._request.GET.getlist("fields")
        found = "dry-run=pass" if dry_run else str(services.auto_network(project_id))
        return self.answer(
            {"auto_allocated_topology": {"id": found, "tenant_id": project_id, "project_id": project_id}}
        )


def _extension(alias: str) -> dict[str, Any]:
    name = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": name, "updated": _UPDATED, "links": []}


def _group(project_id: str) -> dict[str, Any]:
    return {
        "id": default_group_id(project_id),
        "name": "default",
        "description": _GROUP_NOTE,
        "project_id": project_id,
        "tenant_id": project_id,
        "stateful": True,
        "shared": False,
        "tags": [],
        "revision_number": 0,
        "security_group_rules": _rules(project_id),
    }


def _rules(project_id: str) -> list[dict[str, Any]]:
    group_id = default_group_id(project_id)
    return [
        {
            "id": default_group_id(f"{project_id} {direction} {ethertype}"),
            "security_group_id": group_id,
            "direction": direction,
            "ethertype": ethertype,
            "protocol": None,
            "port_range_min": None,
            "port_range_max": None,
            "remote_ip_prefix": None,
            "remote_group_id": None,
            "remote_address_group_id": None,
            "description": "",
            "project_id": project_id,
            "tenant_id": project_id,
            "revision_number": 0,
        }
        for direction in ("ingress", "egress")
        for ethertype in ("IPv4", "IPv6")
    ]
