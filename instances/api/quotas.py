"""Quotas of projects, their defaults, and what a project has used of them."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import Forbidden, InvalidInput, NotFound
from identity.selectors import is_project
from instances import policies
from instances.api.base import ComputeView
from instances.api.operator_bodies import UpdateQuotaClass, UpdateQuotaSet
from instances.api.queries import LimitsQuery, QuotaSetQuery
from quotas import selectors, services
from quotas.models import COUNTED, DEFAULT_CLASS, LIMITED

_SETS = "os_compute_api:os-quota-sets:"
_CLASSES = "os_compute_api:os-quota-class-sets:"
_BY_NAME = {services.nova_name(name): name for name in LIMITED}


def _by_resource(wanted: dict[str, Any]) -> dict[str, int]:
    """Return limits that stand under the API's names by resource."""
    return {_BY_NAME[name]: amount for name, amount in wanted.items() if name in _BY_NAME}


class QuotaViews(ComputeView):
    """What the views of quotas share."""

    def shown(self, resource: str, view: str, values: dict[str, Any], name: str = "") -> dict[str, Any]:
        """Return values by resource as this version shows them, with the name of whose they are."""
        superset = {"id": name, **{services.nova_name(key): value for key, value in values.items()}}
        return self.project(resource, view, superset)

    def asked_for(self, project_id: str, rule: str) -> None:
        """Raise Forbidden where the caller may not, InvalidInput where there is no such project."""
        self.enforce(_SETS + rule)
        if project_id == self.project_id:
            return
        if not self.caller.is_admin:
            raise Forbidden(policies.refusal(_SETS + rule))
        self.must_be_project(project_id)

    def must_be_project(self, project_id: str) -> None:
        """Raise InvalidInput where there is no such project; one's own token proves one's own."""
        if project_id != self.project_id and not is_project(project_id):
            raise InvalidInput(f"Project ID {project_id[:64]} is not a valid project.")

    def refuse_user(self) -> None:
        """Refuse to change the quota of one user: users have what their project has."""
        if self.query(QuotaSetQuery).get("user_id"):
            raise InvalidInput(
                "Quotas of single users are not kept here: set the project's, without user_id."
            )


class QuotaSetView(QuotaViews):
    """GET, PUT and DELETE /os-quota-sets/{project}."""

    def get(self, _request: Request, tenant_id: str) -> HttpResponseBase:
        """Show a project's limits; a user of it has the same."""
        self.asked_for(tenant_id, "show")
        self.query(QuotaSetQuery)
        found = selectors.limits(tenant_id)
        return self.answer({"quota_set": self.shown("quota_set", "show", found, tenant_id)})

    def put(self, _request: Request, tenant_id: str) -> HttpResponseBase:
        """Set some of a project's limits."""
        self.asked_for(tenant_id, "update")
        self.refuse_user()
        wanted = self.body(UpdateQuotaSet, key="quota_set")
        force = wanted.pop("force", False)
        services.set_limits(tenant_id, force=force, **_by_resource(wanted))
        found = selectors.limits(tenant_id)
        return self.answer({"quota_set": self.shown("quota_set", "update", found)})

    def delete(self, _request: Request, tenant_id: str) -> HttpResponseBase:
        """Have a project follow the defaults again, also one that is gone."""
        self.enforce(_SETS + "delete")
        self.refuse_user()
        services.follow_defaults(tenant_id)
        return self.answer(status=202)


class QuotaSetDetailView(QuotaViews):
    """GET /os-quota-sets/{project}/detail."""

    def get(self, _request: Request, tenant_id: str) -> HttpResponseBase:
        """Show a project's limits with what is used; what is counted a user or a request shows 0, as Nova has it."""
        self.asked_for(tenant_id, "detail")
        self.query(QuotaSetQuery)
        usage = selectors.usage(tenant_id)
        found = {
            name: {"in_use": getattr(usage, name) if name in COUNTED else 0, "limit": limit, "reserved": 0}
            for name, limit in selectors.limits_of(usage).items()
        }
        return self.answer({"quota_set": self.shown("quota_set", "show", found, tenant_id)})


class QuotaDefaultsView(QuotaViews):
    """GET /os-quota-sets/{project}/defaults."""

    def get(self, _request: Request, tenant_id: str) -> HttpResponseBase:
        """Show the limits of a project that has none of its own; anybody may ask."""
        self.no_query()
        if self.caller.is_admin:
            self.must_be_project(tenant_id)
        found = selectors.defaults()
        return self.answer({"quota_set": self.shown("quota_set", "show", found, tenant_id)})


class QuotaClassView(QuotaViews):
    """GET and PUT /os-quota-class-sets/{class}."""

    def get(self, _request: Request, class_name: str) -> HttpResponseBase:
        """Show the limits of projects that have none of their own."""
        self.no_query()
        self.enforce(_CLASSES + "show")
        _must_be_default(class_name)
        found = selectors.defaults()
        return self.answer({"quota_class_set": self.shown("quota_class", "show", found, class_name)})

    def put(self, _request: Request, class_name: str) -> HttpResponseBase:
        """Set some of them."""
        self.no_query()
        self.enforce(_CLASSES + "update")
        _must_be_default(class_name)
        services.set_defaults(**_by_resource(self.body(UpdateQuotaClass, key="quota_class_set")))
        return self.answer({"quota_class_set": self.shown("quota_class", "update", selectors.defaults())})


def _must_be_default(class_name: str) -> None:
    if class_name != DEFAULT_CLASS:
        raise NotFound(f"Quota class {class_name[:64]} could not be found.")


class LimitsView(ComputeView):
    """GET /limits."""

    def get(self, _request: Request) -> HttpResponseBase:
        """Show a project's limits and what it has used of them."""
        query = self.query(LimitsQuery)
        project_id = self.project_id
        if query.get("tenant_id", project_id) != project_id:
            self.enforce("os_compute_api:limits:other_project")
            project_id = query["tenant_id"]
        usage = selectors.usage(project_id)
        limits = selectors.limits_of(usage)
        superset = {
            "maxTotalInstances": limits["instances"],
            "maxTotalCores": limits["cores"],
            "maxTotalRAMSize": limits["ram_mib"],
            "totalInstancesUsed": usage.instances,
            "totalCoresUsed": usage.cores,
            "totalRAMUsed": usage.ram_mib,
            "maxServerMeta": limits["metadata_items"],
            "maxImageMeta": limits["metadata_items"],
            "maxTotalKeypairs": limits["key_pairs"],
            "maxServerGroups": limits["server_groups"],
            "maxServerGroupMembers": limits["server_group_members"],
            "totalServerGroupsUsed": usage.server_groups,
            "maxPersonality": limits["injected_files"],
            "maxPersonalitySize": limits["injected_file_content_bytes"],
            "maxSecurityGroups": limits["security_groups"],
            "maxSecurityGroupRules": limits["security_group_rules"],
            "maxTotalFloatingIps": limits["floating_ips"],
            "totalFloatingIpsUsed": 0,
            "totalSecurityGroupsUsed": 0,
        }
        return self.answer({"limits": {"rate": [], "absolute": self.project("limits", "absolute", superset)}})
