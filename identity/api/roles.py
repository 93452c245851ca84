"""/roles, and who has which where."""

from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from computecloud.wire.errors import NotFound
from identity import assignments, selectors
from identity.api import presentation
from identity.api.base import IdentityView
from identity.api.serializers import AssignmentQuery, ListQuery, RoleBody, RolePatch
from identity.models import Domain, Project, Role, User
from identity.services import roles
from identity.services.roles import RoleValues

OFF = ("0", "false", "False")


class Roles(IdentityView):
    """All roles."""

    def get(self, request: Request) -> Response:
        """List roles by filters; none belongs to a domain."""
        self.require_admin()
        query = self.query(ListQuery)
        rows = (
            []
            if query.get("domain_id")
            else selectors.listed(Role, self.filters("name"), marker=None, limit=1_000)
        )
        return self.collection("roles", [presentation.role(row) for row in rows])

    def post(self, request: Request) -> Response:
        """Make a role."""
        self.require_admin()
        role = roles.create(_values(self.body(RoleBody, key="role")))
        return self.answer({"role": self.linked(presentation.role(role), "roles")}, 201)


class OneRole(IdentityView):
    """One role."""

    def get(self, request: Request, role_id: str) -> Response:
        """Show the role."""
        self.require_admin()
        role = selectors.one(Role, role_id)
        return self.answer({"role": self.linked(presentation.role(role), "roles")})

    def patch(self, request: Request, role_id: str) -> Response:
        """Change the role."""
        self.require_admin()
        role = roles.update(selectors.one(Role, role_id), _values(self.body(RolePatch, key="role")))
        return self.answer({"role": self.linked(presentation.role(role), "roles")})

    def delete(self, request: Request, role_id: str) -> Response:
        """Take the role from everybody and delete it."""
        self.require_admin()
        roles.delete(selectors.one(Role, role_id))
        return self.answer(status=204)


class _Assigned(IdentityView):
    def scope(self, project_id: str | None, domain_id: str | None) -> dict[str, Any]:
        """Return the project or domain of the path as arguments; raises NotFound."""
        if project_id is not None:
            return {"project": selectors.one(Project, project_id)}
        return {"domain": selectors.one(Domain, domain_id or "")}


class AssignedRoles(_Assigned):
    """The roles of a user in a project or domain."""

    def get(
        self, request: Request, user_id: str, project_id: str | None = None, domain_id: str | None = None
    ) -> Response:
        """List the roles."""
        self.require_admin()
        self.scope(project_id, domain_id)
        user = selectors.one(User, user_id)
        rows = selectors.roles_in(user_id=user.id, project_id=project_id, domain_id=domain_id)
        return self.collection("roles", [presentation.role(row) for row in rows])


class AssignedRole(_Assigned):
    """One role of a user in a project or domain."""

    def put(self, request: Request, user_id: str, role_id: str, **scope: str) -> Response:
        """Give the role."""
        self.require_admin()
        roles.assign(**self._parts(user_id, role_id, scope))
        return self.answer(status=204)

    def get(self, request: Request, user_id: str, role_id: str, **scope: str) -> Response:
        """Answer 204 when the user has the role, else 404."""
        self.require_admin()
        parts = self._parts(user_id, role_id, scope)
        if not assignments.exists(**parts):
            raise NotFound(f"Could not find role assignment with role: {role_id[:64]}, user: {user_id[:64]}.")
        return self.answer(status=204)

    def delete(self, request: Request, user_id: str, role_id: str, **scope: str) -> Response:
        """Take the role away."""
        self.require_admin()
        roles.unassign(**self._parts(user_id, role_id, scope))
        return self.answer(status=204)

    def _parts(self, user_id: str, role_id: str, scope: dict[str, str]) -> dict[str, Any]:
        return {
            **self.scope(scope.get("project_id"), scope.get("domain_id")),
            "user": selectors.one(User, user_id),
            "role": selectors.one(Role, role_id),
        }


class RoleAssignments(IdentityView):
    """Who has which role where."""

    def get(self, request: Request) -> Response:
        """List assignments by filters."""
        self.require_admin()
        query = self.query(AssignmentQuery)
        flags = {name: query.get(name, OFF[0]) not in OFF for name in ("effective", "include_names")}
        found = assignments.listed(
            user_id=query.get("user_id"),
            role_id=query.get("role_id"),
            project_id=query.get("project_id"),
            domain_id=query.get("scope_domain_id"),
            effective=flags["effective"],
        )
        nothing = "group_id" in query or "system" in query
        rows = [] if nothing else [self._row(one, flags["include_names"]) for one in found]
        ends = {"self": f"{self.roots[0]}/role_assignments", "previous": None, "next": None}
        return self.answer({"role_assignments": rows, "links": ends})

    def _row(self, one: assignments.Assignment, named: Any) -> dict[str, Any]:
        kind = "project" if one.project_id else "domain"
        scope_id = one.project_id or one.domain_id
        role: dict[str, Any] = {"id": one.role_id}
        user: dict[str, Any] = {"id": one.user_id}
        scope: dict[str, Any] = {"id": scope_id}
        if named:
            role["name"] = one.role_name
            user |= {"name": one.user_name, "domain": one.user_domain}
            scope["name"] = one.scope_name
            if one.project_domain:
                scope["domain"] = one.project_domain
        path = f"{self.roots[0]}/{kind}s/{scope_id}/users/{one.user_id}/roles/{one.given_role_id}"
        return {"role": role, "user": user, "scope": {kind: scope}, "links": {"assignment": path}}


def _values(body: dict[str, Any]) -> RoleValues:
    values = {key: value for key, value in body.items() if key in ("name", "description")}
    if "description" in values:
        values["description"] = values["description"] or ""
    return cast(RoleValues, values)
