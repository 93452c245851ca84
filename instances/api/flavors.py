"""Flavors, their extra specs, and who may use them."""

from collections.abc import Mapping
from typing import Any

from django.db.models import F, Q, QuerySet, TextField, Value
from django.db.models.functions import Coalesce
from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import Conflict, InvalidInput, NotFound
from computecloud.wire.paging import Page
from identity import sharing
from instances import hardware, selectors
from instances.api.base import ComputeView
from instances.api.bodies import CreateFlavor, ExtraSpecsBody, TenantAccess, UpdateFlavor
from instances.api.queries import FlavorsQuery
from instances.models import Flavor
from instances.services import flavors

_MANAGE = "os_compute_api:os-flavor-manage:"
_SPECS = "os_compute_api:os-flavor-extra-specs:"
_ACCESS = "os_compute_api:os-flavor-access"
SORT_KEYS = {
    "flavorid": "flavorid",
    "id": "id",
    "name": "name",
    "memory_mb": "ram",
    "vcpus": "vcpus",
    "root_gb": "disk",
    "ephemeral_gb": "ephemeral",
    "swap": "swap",
    "rxtx_factor": "rxtx_factor",
    "vcpu_weight": "id",
    "disabled": "disabled",
    "is_public": "is_public",
    "description": "description",
    "created_at": "created_at",
    "updated_at": "created_at",
}


class FlavorViews(ComputeView):
    """What every view has that shows flavors."""

    def superset(self, flavor: Flavor) -> dict[str, Any]:
        """Return all that any version shows of a flavor."""
        return {
            "id": flavor.flavorid,
            "name": flavor.name,
            "links": self.links(f"flavors/{flavor.flavorid}"),
            "ram": flavor.ram,
            "disk": flavor.disk,
            "vcpus": flavor.vcpus,
            "swap": flavor.swap,
            "swap_or_empty": flavor.swap or "",
            "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral,
            "OS-FLV-DISABLED:disabled": flavor.disabled,
            "os-flavor-access:is_public": flavor.is_public,
            "rxtx_factor": flavor.rxtx_factor,
            "description": flavor.description,
            "extra_specs": flavor.extra_specs,
        }

    def one(self, flavor: Flavor) -> HttpResponseBase:
        """Answer with one flavor."""
        return self.answer({"flavor": self.project("flavor", "detail", self.superset(flavor))})

    def listed(self, view: str) -> HttpResponseBase:
        """Answer a list of flavors."""
        query = self.query(FlavorsQuery)
        page = self.page(query)
        found = list(_page_of(self._wanted(query), query, page))
        project = self.edition.projection("flavor", view)
        body: dict[str, Any] = {"flavors": [project(self.superset(flavor)) for flavor in found]}
        if after := self.next_links(page, [flavor.flavorid for flavor in found]):
            body["flavors_links"] = after
        return self.answer(body)

    def _wanted(self, query: Mapping[str, Any]) -> QuerySet[Flavor]:
        found = selectors.flavors(self.caller, is_public=_public(query.get("is_public")))
        if "minRam" in query:
            found = found.filter(ram__gte=query["minRam"])
        if "minDisk" in query:
            found = found.filter(disk__gte=query["minDisk"])
        if "name" in query:
            found = found.filter(name__icontains=query["name"])
        return found


def _public(text: str | None) -> bool | None:
    """Return what is_public asks for: public ones where nothing is said, None for all."""
    if text is None:
        return True
    word = text.lower()
    if word == "none":
        return None
    if word in {"true", "t", "yes", "1", "on", "y"}:
        return True
    if word in {"false", "f", "no", "0", "off", "n"}:
        return False
    raise InvalidInput(f"Invalid is_public filter [{text[:64]}]")


def _page_of(found: QuerySet[Flavor], query: Mapping[str, Any], page: Page) -> QuerySet[Flavor]:
    key = query.get("sort_key", "flavorid")
    if key not in SORT_KEYS:
        raise InvalidInput(f"Invalid input for query parameters sort_key. {key!r} is no sort key.")
    column = SORT_KEYS[key]
    # Databases disagree on where NULL goes; of these columns only a description may be NULL.
    found = found.annotate(
        by=Coalesce(column, Value(""), output_field=TextField()) if column == "description" else F(column)
    )
    order, falling = ("by", "flavorid"), query.get("sort_dir") == "desc"
    if page.marker is not None:
        at = found.filter(flavorid=page.marker).values_list(*order).first()
        if at is None:
            raise InvalidInput(f"marker [{page.marker}] not found")
        side = "lt" if falling else "gt"
        found = found.filter(Q(**{f"by__{side}": at[0]}) | Q(by=at[0], **{f"flavorid__{side}": at[1]}))
    return found.order_by(*(f"-{name}" for name in order) if falling else order)[: page.limit]


class FlavorsView(FlavorViews):
    """GET and POST /flavors."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List flavors by id and name."""
        return self.listed("brief")

    def post(self, _request: Request) -> HttpResponseBase:
        """Make a flavor."""
        self.no_query()
        self.enforce(_MANAGE + "create")
        wanted = self.body(CreateFlavor, key="flavor")
        flavorid = wanted.pop("id", None)
        if flavorid == "auto":
            flavorid = None
        made = flavors.create(
            flavors.NewFlavor(
                flavorid=flavorid, **{key: value for key, value in wanted.items() if value is not None}
            )
        )
        return self.one(made)


class FlavorsDetailView(FlavorViews):
    """GET /flavors/detail."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List flavors with their sizes."""
        return self.listed("detail")


class FlavorView(FlavorViews):
    """GET, PUT and DELETE /flavors/{id}."""

    def get(self, _request: Request, flavor_id: str) -> HttpResponseBase:
        """Show a flavor."""
        self.no_query()
        return self.one(selectors.flavor_for(flavor_id, self.caller))

    def put(self, _request: Request, flavor_id: str) -> HttpResponseBase:
        """Change a flavor's description."""
        self.enforce(_MANAGE + "update")
        wanted = self.body(UpdateFlavor, key="flavor")
        return self.one(flavors.describe(flavor_id, description=wanted["description"]))

    def delete(self, _request: Request, flavor_id: str) -> HttpResponseBase:
        """Remove a flavor."""
        self.enforce(_MANAGE + "delete")
        flavors.delete(flavor_id)
        return self.answer(status=202)


class ExtraSpecsView(ComputeView):
    """GET and POST /flavors/{id}/os-extra_specs."""

    def get(self, _request: Request, flavor_id: str) -> HttpResponseBase:
        """Show a flavor's extra specs."""
        self.no_query()
        self.enforce(_SPECS + "index")
        return self.answer({"extra_specs": selectors.flavor_for(flavor_id, self.caller).extra_specs})

    def post(self, _request: Request, flavor_id: str) -> HttpResponseBase:
        """Add or replace extra specs."""
        self.no_query()
        self.enforce(_SPECS + "create")
        specs = self.body(ExtraSpecsBody)["extra_specs"]
        if self.behaves("extra_specs_are_checked"):
            hardware.check_specs(specs)
        flavors.set_extra_specs(flavor_id, specs)
        return self.answer({"extra_specs": specs})


class ExtraSpecView(ComputeView):
    """GET, PUT and DELETE /flavors/{id}/os-extra_specs/{key}."""

    def get(self, _request: Request, flavor_id: str, key: str) -> HttpResponseBase:
        """Show one extra spec."""
        self.no_query()
        self.enforce(_SPECS + "show")
        specs = selectors.flavor_for(flavor_id, self.caller).extra_specs
        if key not in specs:
            raise NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
        return self.answer({key: specs[key]})

    def put(self, _request: Request, flavor_id: str, key: str) -> HttpResponseBase:
        """Replace one extra spec, named in the body too."""
        self.no_query()
        self.enforce(_SPECS + "update")
        specs = self.check(ExtraSpecsBody, {"extra_specs": self.payload()})["extra_specs"]
        if list(specs) != [key]:
            raise InvalidInput("Request body and URI mismatch")
        if self.behaves("extra_specs_are_checked"):
            hardware.check_specs(specs)
        flavors.set_extra_specs(flavor_id, specs)
        return self.answer(specs)

    def delete(self, _request: Request, flavor_id: str, key: str) -> HttpResponseBase:
        """Remove one extra spec."""
        self.enforce(_SPECS + "delete")
        flavors.unset_extra_spec(flavor_id, key)
        return self.answer(status=200)


class FlavorAccessView(ComputeView):
    """GET /flavors/{id}/os-flavor-access."""

    def get(self, _request: Request, flavor_id: str) -> HttpResponseBase:
        """List the projects that a flavor is opened to."""
        self.no_query()
        self.enforce(_ACCESS)
        flavor = selectors.flavor(flavor_id)
        if flavor.is_public:
            raise NotFound("Access list not available for public flavors.")
        return self.answer(_accesses(flavor_id, sharing.projects_of(flavor)))


class FlavorActionView(ComputeView):
    """POST /flavors/{id}/action: addTenantAccess and removeTenantAccess."""

    def post(self, _request: Request, flavor_id: str) -> HttpResponseBase:
        """Open a flavor to a project, or close it."""
        self.no_query()
        body = self.payload()
        name = next(iter(body)) if isinstance(body, dict) and len(body) == 1 else ""
        if name == "addTenantAccess":
            self.enforce(_ACCESS + ":add_tenant_access")
            project_id = self.check(TenantAccess, body[name], name)["tenant"]
            if selectors.flavor(flavor_id).is_public and self.behaves("public_flavor_has_no_access_list"):
                raise Conflict("Can not add access to a public flavor.")
            return self.answer(_accesses(flavor_id, flavors.add_access(flavor_id, project_id=project_id)))
        if name == "removeTenantAccess":
            self.enforce(_ACCESS + ":remove_tenant_access")
            project_id = self.check(TenantAccess, body[name], name)["tenant"]
            return self.answer(_accesses(flavor_id, flavors.remove_access(flavor_id, project_id=project_id)))
        raise InvalidInput(f"There is no such action: {name[:64]}" if name else "Malformed request body")


def _accesses(flavor_id: str, projects: list[str]) -> dict[str, Any]:
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": project} for project in projects]}
