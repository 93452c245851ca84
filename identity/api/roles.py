"""/roles, and which implies which."""

from collections.abc import Iterable
from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from computecloud.wire.errors import NotFound
from identity import policy, selectors
from identity.api import presentation
from identity.api.base import MAX_LISTED, IdentityView
from identity.api.serializers import ListQuery, RoleBody, RolePatch
from identity.models import Role
from identity.services import roles
from identity.services.roles import RoleValues


class _RoleView(IdentityView):
    def require_reader(self) -> None:
        """Raise NotAllowed (403) unless the caller may read about all, or about a domain: who gives its roles."""
        policy.readable_domain(self.caller, None)


class Roles(_RoleView):
    """All roles."""

    def get(self, request: Request) -> Response:
        """List roles by filters; none belongs to a domain."""
        self.require_reader()
        query = self.query(ListQuery)
        page = self.page(query, MAX_LISTED)
        rows = (
            []
            if query.get("domain_id")
            else selectors.listed(Role, self.filters("name"), marker=page.marker, limit=page.limit)
        )
        url = page.next_url(request._request, [row.id for row in rows])
        return self.collection("roles", [presentation.role(row) for row in rows], next_url=url)

    def post(self, request: Request) -> Response:
        """Make a role."""
        self.require_admin()
        role = roles.create(_values(self.body(RoleBody, key="role")))
        return self.answer({"role": self.linked(presentation.role(role), "roles")}, 201)


class OneRole(_RoleView):
    """One role."""

    def get(self, request: Request, role_id: str) -> Response:
        """Show the role."""
        self.require_reader()
        role = selectors.one(Role, role_id)
        return self.answer({"role": self.linked(presentation.role(role), "roles")})

    def patch(self, request: Request, role_id: str) -> Response:
        """Change the role."""
        self.require_admin()
        values = _values(self.changes_of(RolePatch, "role", role_id))
        role = roles.update(selectors.one(Role, role_id), values)
        return self.answer({"role": self.linked(presentation.role(role), "roles")})

    def delete(self, request: Request, role_id: str) -> Response:
        """Take the role from everybody and delete it."""
        self.require_admin()
        roles.delete(selectors.one(Role, role_id))
        return self.answer(status=204)


class _InferenceView(_RoleView):
    def short(self, role: Role) -> dict[str, Any]:
        """Return a role as inferences show it."""
        return {
            "id": role.id,
            "name": role.name,
            "description": role.description or None,
            "links": {"self": f"{self.roots[0]}/roles/{role.id}"},
        }

    def implied_by(self, prior: Role, every: Iterable[Role], further: dict[str, list[str]]) -> list[Role]:
        """Return the roles that one implies directly."""
        names = {policy.IMPLIES.get(prior.name), *further.get(prior.name, ())}
        return [role for role in every if role.name in names]


class RoleInferences(_InferenceView):
    """Which roles imply which."""

    def get(self, request: Request) -> Response:
        """List those that imply something."""
        self.require_reader_of_all()
        every, further = list(Role.objects.order_by("name")), selectors.implications()
        rules = [
            {"prior_role": self.short(prior), "implies": [self.short(role) for role in implied]}
            for prior in every
            if (implied := self.implied_by(prior, every, further))
        ]
        return self.answer({"role_inferences": rules, "links": {"self": f"{self.roots[0]}/role_inferences"}})


class ImpliedRoles(_InferenceView):
    """What a role implies."""

    def get(self, request: Request, role_id: str) -> Response:
        """List the roles that it implies directly."""
        self.require_reader_of_all()
        prior = selectors.one(Role, role_id)
        implied = self.implied_by(prior, Role.objects.order_by("name"), selectors.implications())
        rule = {"prior_role": self.short(prior), "implies": [self.short(role) for role in implied]}
        ends = {"self": f"{self.roots[0]}/roles/{prior.id}/implies"}
        return self.answer({"role_inference": rule, "links": ends})


class ImpliedOne(_InferenceView):
    """One role that another one implies."""

    def get(self, request: Request, role_id: str, implied_id: str) -> Response:
        """Show the pair; a HEAD request is answered with 204."""
        self.require_reader_of_all()
        prior, implied = self._pair(role_id, implied_id)
        if implied not in self.implied_by(prior, [implied], selectors.implications()):
            raise NotFound(f"Could not find implied role: {prior.id} does not imply {implied.id}.")
        return self.answer(status=204) if request.method == "HEAD" else self._shown(prior, implied, 200)

    def put(self, request: Request, role_id: str, implied_id: str) -> Response:
        """Have the one imply the other."""
        self.require_admin()
        prior, implied = self._pair(role_id, implied_id)
        roles.imply(prior, implied)
        return self._shown(prior, implied, 201)

    def delete(self, request: Request, role_id: str, implied_id: str) -> Response:
        """Have the one imply the other no longer."""
        self.require_admin()
        roles.imply_no_more(*self._pair(role_id, implied_id))
        return self.answer(status=204)

    def _pair(self, role_id: str, implied_id: str) -> tuple[Role, Role]:
        return selectors.one(Role, role_id), selectors.one(Role, implied_id)

    def _shown(self, prior: Role, implied: Role, status: int) -> Response:
        rule = {"prior_role": self.short(prior), "implies": self.short(implied)}
        ends = {"self": f"{self.roots[0]}/roles/{prior.id}/implies/{implied.id}"}
        return self.answer({"role_inference": rule, "links": ends}, status)


def _values(body: dict[str, Any]) -> RoleValues:
    values = {key: value for key, value in body.items() if key in ("name", "description", "extra")}
    if "description" in values:
        values["description"] = values["description"] or ""
    return cast(RoleValues, values)
