"""Who has which role where: in a project, a domain or the system, as a user or by a group."""

from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from computecloud.wire.errors import InvalidInput
from identity import assignments, policy, selectors
from identity.api import presentation
from identity.api.base import IdentityView
from identity.api.serializers import AssignmentQuery
from identity.assignments import Assignment, Named, Wanted
from identity.models import Domain, Group, Project, Role, User
from identity.services import roles
from identity.services.roles import Holding

OFF = ("0", "false", "False")
FLAGS = ("effective", "include_names", "include_subtree")


class _Assigned(IdentityView):
    """Role assignments of one user or group in one scope, both named in the path."""

    def parts(self, ids: dict[str, str]) -> dict[str, Any]:
        """Return user or group and project or domain of the path; raises NotFound.

        Who may not read about all is refused (403) what is in another domain, and what is nowhere in the same words.
        """
        models: dict[str, Any] = {"user": User, "group": Group, "project": Project, "domain": Domain}
        return {
            name: self._part(model, ids[f"{name}_id"])
            for name, model in models.items()
            if f"{name}_id" in ids
        }

    def _part(self, model: Any, identifier: str) -> Any:
        found = model.objects.filter(pk=identifier).first()
        if not policy.reads_domain(self.caller, _domain_of(found)):
            self.require_admin()
        return found or selectors.one(model, identifier)

    def require_giver(self, parts: dict[str, Any], role: Role | None) -> None:
        """Raise NotAllowed (403) unless an admin asks, or the domain's manager about what it may give."""
        scope = parts.get("project") or parts.get("domain")
        actor = parts.get("user") or parts.get("group")
        if self.caller.is_admin:
            return
        domain_id = _domain_of(scope)
        if not (
            policy.manages_domain(self.caller, domain_id)
            and actor is not None
            and actor.domain_id == domain_id
            and (role is None or role.name in policy.DELEGABLE)
        ):
            self.require_admin()

    def require_reader(self, parts: dict[str, Any]) -> None:
        """Raise NotAllowed (403) unless the caller may read about the scope's domain."""
        scope = parts.get("project") or parts.get("domain")
        if not policy.reads_domain(self.caller, _domain_of(scope)):
            self.require_admin()


class AssignedRoles(_Assigned):
    """The roles of a user or group in a scope."""

    def get(self, request: Request, **ids: str) -> Response:
        """List the roles."""
        policy.readable_domain(self.caller, None)
        parts = self.parts(ids)
        self.require_reader(parts)
        holder = Q(**{name: parts[name] for name in ("user", "group") if name in parts})
        scope = {name: parts.get(name) for name in ("project", "domain")}
        rows = assignments.roles_in(holder, **scope, system=not any(scope.values()))
        return self.collection("roles", [presentation.role(row) for row in rows])


class AssignedRole(_Assigned):
    """One role of a user or group in a scope."""

    def put(self, request: Request, role_id: str, **ids: str) -> Response:
        """Give the role."""
        roles.assign(self._given(role_id, ids))
        return self.answer(status=204)

    def get(self, request: Request, role_id: str, **ids: str) -> Response:
        """Answer 204 when the role was given, else 404."""
        policy.readable_domain(self.caller, None)
        parts = self.parts(ids)
        self.require_reader(parts)
        holding = Holding(role=selectors.one(Role, role_id), **parts)
        if not assignments.exists(holding):
            raise roles.not_given(holding)
        return self.answer(status=204)

    def delete(self, request: Request, role_id: str, **ids: str) -> Response:
        """Take the role away."""
        roles.unassign(self._given(role_id, ids))
        return self.answer(status=204)

    def _given(self, role_id: str, ids: dict[str, str]) -> Holding:
        policy.require_manager(self.caller)
        parts, role = self.parts(ids), selectors.one(Role, role_id)
        self.require_giver(parts, role)
        return Holding(role=role, **parts)


class RoleAssignments(IdentityView):
    """Who has which role where."""

    def get(self, request: Request) -> Response:
        """List assignments by filters."""
        in_domain = policy.readable_domain(self.caller, None)
        query = self.query(AssignmentQuery)
        flags = {name: query.get(name, OFF[0]) not in OFF for name in FLAGS}
        self._refuse_contradictions(query, flags)
        found = assignments.listed(
            Wanted(
                user_id=query.get("user_id"),
                group_id=query.get("group_id"),
                role_id=query.get("role_id"),
                project_id=query.get("project_id"),
                domain_id=query.get("scope_domain_id"),
                system=True if "system" in query else None,
                in_domain=in_domain,
                effective=flags["effective"],
                with_subtree=flags["include_subtree"],
            )
        )
        rows = [] if "inherited_to" in query else [self._row(one, flags["include_names"]) for one in found]
        ends = {"self": f"{self.roots[0]}/role_assignments", "previous": None, "next": None}
        return self.answer({"role_assignments": rows, "links": ends})

    def _refuse_contradictions(self, query: dict[str, Any], flags: dict[str, bool]) -> None:
        if "user_id" in query and "group_id" in query:
            raise InvalidInput("Filter by user or by group, not by both.")
        if len({"project_id", "scope_domain_id", "system"} & query.keys()) > 1:
            raise InvalidInput("Filter by one of project, domain and system.")
        if flags["effective"] and "group_id" in query:
            raise InvalidInput("Combining effective and group filter will always result in an empty list.")
        if flags["include_subtree"] and "project_id" not in query:
            raise InvalidInput("scope.project.id must be specified if include_subtree is also specified")

    def _row(self, one: Assignment, named: bool) -> dict[str, Any]:
        actor, group_id = one.user or one.group, one.by_group or (one.group.id if one.group else "")
        assert actor is not None
        role: dict[str, Any] = {"id": one.role_id}
        row: dict[str, Any] = {"role": role, "user" if one.user else "group": _shown(actor, named)}
        scope = one.project or one.domain
        kind = "project" if one.project else "domain"
        row["scope"] = {kind: _shown(scope, named)} if scope else {"system": {"all": True}}
        if named:
            role["name"] = one.role_name
        holder = f"groups/{group_id}" if group_id else f"users/{actor.id}"
        place = f"{kind}s/{scope.id}" if scope else "system"
        links = {"assignment": f"{self.roots[0]}/{place}/{holder}/roles/{one.given_role_id}"}
        if one.by_group:
            links["membership"] = f"{self.roots[0]}/groups/{one.by_group}/users/{actor.id}"
        if one.given_role_id != one.role_id:
            links["prior_role"] = f"{self.roots[0]}/roles/{one.given_role_id}"
        return {**row, "links": links}


def _domain_of(found: Any) -> str:
    """Return the domain that something is in, or is; empty where there is nothing."""
    return found.id if isinstance(found, Domain) else found.domain_id if found else ""


def _shown(one: Named, named: bool) -> dict[str, Any]:
    if not named:
        return {"id": one.id}
    found: dict[str, Any] = {"id": one.id, "name": one.name}
    if one.domain_id:
        found["domain"] = {"id": one.domain_id, "name": one.domain_name}
    return found
