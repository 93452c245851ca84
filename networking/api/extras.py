"""What clients ask beside networks: extensions, quotas, the automatic network."""

import re
from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import InvalidInput, NotFound
from computecloud.wire.fields import ID_PATTERN
from identity import policy
from networking import services
from networking.api.serializers import QuotaUpdate
from networking.api.views import NetworkApiView
from networking.services import counting

EXTENSIONS = {  # only what is true of this API
    "allowed-address-pairs": "Allowed Address Pairs",
    "auto-allocated-topology": "Auto Allocated Topology Services",
    "binding": "Port Binding",
    "external-net": "Neutron external network",
    "filter-validation": "Filter parameters validation",
    "ip-substring-filtering": "IP address substring filtering",
    "net-mtu": "Network MTU",
    "pagination": "Pagination support",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "rbac-policies": "RBAC Policies",
    "rbac-security-groups": "Add security_group type to network RBAC",
    "security-group": "security-group",
    "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
}
_UPDATED = "2026-01-01T00:00:00Z"


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
    """Projects with limits of their own."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List them."""
        policy.require(self.caller, policy.ADMIN)
        found = counting.limited_projects()
        return self.answer(
            {"quotas": [{**limits, "tenant_id": key, "project_id": key} for key, limits in found.items()]}
        )


class Quota(NetworkApiView):
    """How much a project may have."""

    def put(self, _request: Request, project_id: str, part: str = "") -> HttpResponseBase:
        """Change a project's limits; an administrator's to do."""
        policy.require(self.caller, policy.ADMIN)
        if part:
            raise NotFound("The resource could not be found.")
        counting.set_limits(_project(project_id), self.body(QuotaUpdate, key="quota"))
        return self.answer({"quota": counting.limits(project_id)})

    def delete(self, _request: Request, project_id: str, part: str = "") -> HttpResponseBase:
        """Give a project the usual limits again; an administrator's to do."""
        policy.require(self.caller, policy.ADMIN)
        if part:
            raise NotFound("The resource could not be found.")
        counting.forget_limits(_project(project_id))
        return self.answer(status=204)

    def get(self, _request: Request, project_id: str, part: str = "") -> HttpResponseBase:
        """Show the limits, the default ones, or with `details` also what is used."""
        if project_id != self.project_id and not self.caller.is_admin:
            raise NotFound(f"Quota for tenant {project_id[:64]} could not be found")
        if part == "default":
            return self.answer({"quota": counting.LIMITS})
        limits = counting.limits(project_id)
        if not part:
            return self.answer({"quota": limits})
        used = counting.used(project_id)
        details = {
            name: {"limit": limit, "used": used[name], "reserved": 0} for name, limit in limits.items()
        }
        return self.answer({"quota": details})


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


def _project(project_id: str) -> str:
    if not re.fullmatch(ID_PATTERN, project_id):
        raise InvalidInput(f"'{project_id[:64]}' is not the id of a project.")
    return project_id


def _extension(alias: str) -> dict[str, Any]:
    name = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": name, "updated": _UPDATED, "links": []}
