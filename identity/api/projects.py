"""/projects and /domains."""

from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from identity import selectors
from identity.api import presentation
from identity.api.base import IdentityView
from identity.api.serializers import DomainBody, DomainPatch, ListQuery, ProjectBody, ProjectPatch
from identity.api.users import MAX_LISTED
from identity.models import Domain, Project
from identity.services import projects
from identity.services.projects import DomainValues, ProjectValues


class Projects(IdentityView):
    """All projects, for admins; others ask /auth/projects."""

    def get(self, request: Request) -> Response:
        """List projects by filters."""
        self.require_admin()
        query = self.query(ListQuery)
        page = self.page(query, MAX_LISTED)
        filters = self.filters("name", "domain_id", "parent_id", "enabled")
        rows = (
            []
            if query.get("is_domain")
            else selectors.listed(Project, filters, marker=page.marker, limit=page.limit)
        )
        url = page.next_url(request._request, [row.id for row in rows])
        return self.collection("projects", [presentation.project(row) for row in rows], next_url=url)

    def post(self, request: Request) -> Response:
        """Make a project."""
        self.require_admin()
        project = projects.create(cast(ProjectValues, _values(self.body(ProjectBody, key="project"))))
        return self.answer({"project": self.linked(presentation.project(project), "projects")}, 201)


class OneProject(IdentityView):
    """One project: where the caller has a role, or any for admins."""

    def get(self, request: Request, project_id: str) -> Response:
        """Show the project."""
        project = selectors.visible_project(self.caller, project_id)
        return self.answer({"project": self.linked(presentation.project(project), "projects")})

    def patch(self, request: Request, project_id: str) -> Response:
        """Change the project."""
        self.require_admin()
        values = cast(ProjectValues, _values(self.body(ProjectPatch, key="project")))
        project = projects.update(selectors.one(Project, project_id), values)
        return self.answer({"project": self.linked(presentation.project(project), "projects")})

    def delete(self, request: Request, project_id: str) -> Response:
        """Delete the project; what it owns stays."""
        self.require_admin()
        projects.delete(selectors.one(Project, project_id))
        return self.answer(status=204)


class Domains(IdentityView):
    """All domains, for admins."""

    def get(self, request: Request) -> Response:
        """List domains by filters."""
        self.require_admin()
        page = self.page(self.query(ListQuery), MAX_LISTED)
        rows = selectors.listed(Domain, self.filters("name", "enabled"), marker=page.marker, limit=page.limit)
        url = page.next_url(request._request, [row.id for row in rows])
        return self.collection("domains", [presentation.domain(row) for row in rows], next_url=url)

    def post(self, request: Request) -> Response:
        """Make a domain."""
        self.require_admin()
        domain = projects.create_domain(cast(DomainValues, _values(self.body(DomainBody, key="domain"))))
        return self.answer({"domain": self.linked(presentation.domain(domain), "domains")}, 201)


class OneDomain(IdentityView):
    """One domain: the caller's own, or any for admins."""

    def get(self, request: Request, domain_id: str) -> Response:
        """Show the domain."""
        domain = selectors.visible_domain(self.caller, domain_id)
        return self.answer({"domain": self.linked(presentation.domain(domain), "domains")})

    def patch(self, request: Request, domain_id: str) -> Response:
        """Change the domain."""
        self.require_admin()
        values = cast(DomainValues, _values(self.body(DomainPatch, key="domain")))
        domain = projects.update_domain(selectors.one(Domain, domain_id), values)
        return self.answer({"domain": self.linked(presentation.domain(domain), "domains")})

    def delete(self, request: Request, domain_id: str) -> Response:
        """Delete the domain with all that is in it; it must be disabled."""
        self.require_admin()
        projects.delete_domain(selectors.one(Domain, domain_id))
        return self.answer(status=204)


def _values(body: dict[str, Any]) -> dict[str, Any]:
    values = {key: value for key, value in body.items() if key not in ("options", "is_domain")}
    if "description" in values:
        values["description"] = values["description"] or ""
    return values
