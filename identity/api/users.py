"""/users."""

from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from identity import policy, selectors
from identity.api import presentation
from identity.api.base import MAX_LISTED, IdentityView
from identity.api.serializers import ListQuery, PasswordBody, UserBody, UserPatch
from identity.models import Group, Project, User
from identity.services import login, users
from identity.services.users import UserValues


class Users(IdentityView):
    """Users: all for admins, a domain's for its readers."""

    def get(self, request: Request) -> Response:
        """List users by filters."""
        filters = self.filters_in_domain("name", "enabled")
        page = self.page(self.query(ListQuery), MAX_LISTED)
        rows = selectors.listed(User, filters, marker=page.marker, limit=page.limit)
        url = page.next_url(request._request, [row.id for row in rows])
        return self.collection("users", [presentation.user(row) for row in rows], next_url=url)

    def post(self, request: Request) -> Response:
        """Make a user."""
        policy.require_manager(self.caller)
        values = self.place(_values(self.body(UserBody, key="user")))
        _refuse_foreign_project(self, values, values["domain_id"])
        user = users.create(cast(UserValues, values))
        return self.answer({"user": self.linked(presentation.user(user), "users")}, 201)


class OneUser(IdentityView):
    """One user: oneself, anyone for admins, a domain's for its readers and manager."""

    def get(self, request: Request, user_id: str) -> Response:
        """Show the user."""
        user = selectors.visible_user(self.caller, user_id)
        return self.answer({"user": self.linked(presentation.user(user), "users")})

    def patch(self, request: Request, user_id: str) -> Response:
        """Change the user."""
        found = self._writable(user_id)
        values = _values(self.changes_of(UserPatch, "user", user_id))
        _refuse_foreign_project(self, values, found.domain_id)
        user = users.update(found, cast(UserValues, values))
        return self.answer({"user": self.linked(presentation.user(user), "users")})

    def delete(self, request: Request, user_id: str) -> Response:
        """Delete the user."""
        users.delete(self._writable(user_id))
        return self.answer(status=204)

    def _writable(self, user_id: str) -> User:
        """Return the user; a domain's manager does not touch who has a role that it may not give (403)."""
        user = selectors.writable(self.caller, User, user_id)
        if not self.caller.is_admin and selectors.has_more_than(policy.DELEGABLE, user=user):
            self.require_admin()
        return user


class UserPassword(IdentityView):
    """A user's own password; the old one is the proof, so no token is needed."""

    public = True

    def post(self, request: Request, user_id: str) -> Response:
        """Change the password."""
        body = self.body(PasswordBody, key="user")
        source = request.META.get("REMOTE_ADDR", "")
        login.change_own_password(user_id, body["original_password"], body["password"], source=source)
        return self.answer(status=204)


class UserProjects(IdentityView):
    """Where a user has a role."""

    def get(self, request: Request, user_id: str) -> Response:
        """List the projects by filters."""
        user = selectors.visible_user(self.caller, user_id)
        found = selectors.projects_of(user.id).filter(**self.filters("name", "domain_id", "enabled"))
        rows = [presentation.project(row) for row in found]
        return self.collection("projects", rows, path=f"users/{user.id}/projects")


class UserGroups(IdentityView):
    """The groups of a user."""

    def get(self, request: Request, user_id: str) -> Response:
        """List the groups by filters."""
        user = selectors.visible_user(self.caller, user_id)
        rows = Group.objects.filter(members__user_id=user.id, **self.filters("name")).order_by("pk")
        return self.collection(
            "groups", [presentation.group(row) for row in rows], path=f"users/{user.id}/groups"
        )


def _refuse_foreign_project(view: IdentityView, values: dict[str, Any], domain_id: str | None) -> None:
    """Refuse a domain's manager a default project of another domain, in the words for one that is not there."""
    project_id = values.get("default_project_id")
    if not project_id or view.caller.is_admin:
        return
    if not Project.objects.filter(pk=project_id, domain_id=domain_id).exists():
        raise users.no_project(project_id)


def _values(body: dict[str, Any]) -> dict[str, Any]:
    values = {key: value for key, value in body.items() if key != "options"}
    for name in ("email", "description"):
        if name in values:
            values[name] = values[name] or ""
    return values
