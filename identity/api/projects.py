"""/projects with their tags, and /domains."""

from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from computecloud.wire.errors import InvalidInput
from identity import policy, selectors
from identity.api import presentation
from identity.api.base import MAX_LISTED, IdentityView
from identity.api.serializers import (
    TAG_FILTERS,
    DomainBody,
    DomainPatch,
    ListQuery,
    ProjectBody,
    ProjectPatch,
    TagsBody,
)
from identity.models import Domain, Project
from identity.services import projects
from identity.services.projects import DomainValues, ProjectValues


class _DomainViews(IdentityView):
    """What views of domains share: projects that are domains are the same, seen from there."""

    def domains(self) -> tuple[list[Domain], str | None]:
        """Return the domains that are asked for and may be seen, and the address of the page after them."""
        own = policy.readable_domain(self.caller, None)
        page = self.page(self.query(ListQuery), MAX_LISTED)
        filters = self.filters("name", "enabled") | ({"pk": own} if own else {})
        rows = selectors.listed(Domain, filters, marker=page.marker, limit=page.limit)
        return rows, page.next_url(self._plain, [row.id for row in rows])

    def domain_of(self, identifier: str) -> Domain | None:
        """Return the domain of this id where it is one's, for what is addressed as a project."""
        return Domain.objects.filter(pk=identifier).first()


class Projects(_DomainViews):
    """Projects: all for admins, a domain's for its readers; others ask /auth/projects."""

    def get(self, request: Request) -> Response:
        """List projects by filters, tags among them; with is_domain, the domains."""
        query = self.query(ListQuery)
        if query.get("is_domain"):
            found, url = self.domains()
            items = [presentation.domain_as_project(row) for row in found]
            return self.collection("projects", items, next_url=url)
        filters = self.filters_in_domain("name", "parent_id", "enabled")
        page = self.page(query, MAX_LISTED)
        tags = {word: set(query[name].split(",")) for name, word in TAG_FILTERS.items() if name in query}
        if tags:
            rows = selectors.tagged(filters, tags, marker=page.marker, limit=page.limit)
        else:
            rows = selectors.listed(Project, filters, marker=page.marker, limit=page.limit)
        url = page.next_url(request._request, [row.id for row in rows])
        return self.collection("projects", [presentation.project(row) for row in rows], next_url=url)

    def post(self, request: Request) -> Response:
        """Make a project, or a domain."""
        policy.require_manager(self.caller)
        body = self.body(ProjectBody, key="project")
        if body.get("is_domain"):
            return self._domain(body)
        values = _values(body)
        if not (self.caller.is_admin and values.get("parent_id")):  # an admin's goes where its parent is
            values = self.place(values)
        project = projects.create(cast(ProjectValues, values))
        return self.answer({"project": self.linked(presentation.project(project), "projects")}, 201)

    def _domain(self, body: dict[str, Any]) -> Response:
        self.require_admin()
        domain = projects.create_domain(_domain_values(body))
        return self.answer({"project": self.linked(presentation.domain_as_project(domain), "projects")}, 201)


class OneProject(_DomainViews):
    """One project: where the caller has a role, a domain's for its readers and manager, or any for admins."""

    def get(self, request: Request, project_id: str) -> Response:
        """Show the project."""
        if self.domain_of(project_id):
            return self._shown_domain(selectors.visible_domain(self.caller, project_id))
        project = selectors.visible_project(self.caller, project_id)
        return self.answer({"project": self.linked(presentation.project(project), "projects")})

    def patch(self, request: Request, project_id: str) -> Response:
        """Change the project."""
        domain = self.domain_of(project_id)
        if domain is not None:
            self.require_admin()
        else:
            found = selectors.writable(self.caller, Project, project_id)
        body = self.changes_of(ProjectPatch, "project", project_id)
        if body.get("is_domain", domain is not None) != (domain is not None):
            raise InvalidInput("A project does not become a domain, nor a domain a mere project.")
        if domain is not None:
            return self._shown_domain(projects.update_domain(domain, _domain_values(body)))
        project = projects.update(found, cast(ProjectValues, _values(body)))
        return self.answer({"project": self.linked(presentation.project(project), "projects")})

    def delete(self, request: Request, project_id: str) -> Response:
        """Delete the project; what it owns stays."""
        domain = self.domain_of(project_id)
        if domain is not None:
            self.require_admin()
            projects.delete_domain(domain)
        else:
            projects.delete(selectors.writable(self.caller, Project, project_id))
        return self.answer(status=204)

    def _shown_domain(self, domain: Domain) -> Response:
        return self.answer({"project": self.linked(presentation.domain_as_project(domain), "projects")})


class ProjectTags(IdentityView):
    """The tags of a project."""

    def get(self, request: Request, project_id: str) -> Response:
        """List them."""
        return self._shown(selectors.visible_project(self.caller, project_id))

    def put(self, request: Request, project_id: str) -> Response:
        """Replace them."""
        found = selectors.writable(self.caller, Project, project_id)
        return self._shown(projects.update(found, {"tags": self.body(TagsBody)["tags"]}))

    def delete(self, request: Request, project_id: str) -> Response:
        """Remove all of them."""
        projects.update(selectors.writable(self.caller, Project, project_id), {"tags": []})
        return self.answer(status=204)

    def _shown(self, project: Project) -> Response:
        return self.answer({"tags": project.tags, "links": {}})


class ProjectTag(IdentityView):
    """One tag of a project."""

    def get(self, request: Request, project_id: str, tag: str) -> Response:
        """Answer 204 when the project has it, else 404."""
        if tag not in selectors.visible_project(self.caller, project_id).tags:
            raise projects.no_tag(tag)
        return self.answer(status=204)

    def put(self, request: Request, project_id: str, tag: str) -> Response:
        """Add it."""
        found = selectors.writable(self.caller, Project, project_id)
        wanted = self.check(TagsBody, {"tags": [tag]})["tags"]
        projects.change_tags(found, add=wanted)
        return self.answer(status=201)

    def delete(self, request: Request, project_id: str, tag: str) -> Response:
        """Remove it."""
        projects.change_tags(selectors.writable(self.caller, Project, project_id), remove=tag)
        return self.answer(status=204)


class Domains(_DomainViews):
    """Domains: all for admins, its own for who has a token for one."""

    def get(self, request: Request) -> Response:
        """List domains by filters."""
        rows, url = self.domains()
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
        values = _values(self.changes_of(DomainPatch, "domain", domain_id))
        domain = projects.update_domain(selectors.one(Domain, domain_id), cast(DomainValues, values))
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


def _domain_values(body: dict[str, Any]) -> DomainValues:
    """Return what a project's body says of a domain; raises InvalidInput for what domains do not have."""
    if body.get("domain_id") or body.get("parent_id") or body.get("tags"):
        raise InvalidInput("A project that is a domain has no domain_id, no parent_id and no tags.")
    return cast(DomainValues, _values(body))
