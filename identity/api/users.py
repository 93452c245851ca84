"""/users."""

from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from identity import selectors
from identity.api import presentation
from identity.api.base import IdentityView
from identity.api.serializers import ListQuery, PasswordBody, UserBody, UserPatch
from identity.models import User
from identity.services import login, users
from identity.services.users import UserValues

MAX_LISTED = 10_000


class Users(IdentityView):
    """All users, for admins."""

    def get(self, request: Request) -> Response:
        """List users by filters."""
        self.require_admin()
        page = self.page(self.query(ListQuery), MAX_LISTED)
        filters = self.filters("name", "domain_id", "enabled")
        rows = selectors.listed(User, filters, marker=page.marker, limit=page.limit)
        url = page.next_url(request._request, [row.id for row in rows])
        return self.collection("users", [presentation.user(row) for row in rows], next_url=url)

    def post(self, request: Request) -> Response:
        """Make a user."""
        self.require_admin()
        user = users.create(_values(self.body(UserBody, key="user")))
        return self.answer({"user": self.linked(presentation.user(user), "users")}, 201)


class OneUser(IdentityView):
    """One user: oneself, or anyone for admins."""

    def get(self, request: Request, user_id: str) -> Response:
        """Show the user."""
        user = selectors.visible_user(self.caller, user_id)
        return self.answer({"user": self.linked(presentation.user(user), "users")})

    def patch(self, request: Request, user_id: str) -> Response:
        """Change the user."""
        self.require_admin()
        values = _values(self.body(UserPatch, key="user"))
        user = users.update(selectors.one(User, user_id), values)
        return self.answer({"user": self.linked(presentation.user(user), "users")})

    def delete(self, request: Request, user_id: str) -> Response:
        """Delete the user."""
        self.require_admin()
        users.delete(selectors.one(User, user_id))
        return self.answer(status=204)


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
        """List the projects."""
        user = selectors.visible_user(self.caller, user_id)
        rows = [presentation.project(row) for row in selectors.projects_of(user.id)]
        return self.collection("projects", rows, path=f"users/{user.id}/projects")


class UserGroups(IdentityView):
    """The groups of a user: there are none."""

    def get(self, request: Request, user_id: str) -> Response:
        """List nothing."""
        user = selectors.visible_user(self.caller, user_id)
        return self.collection("groups", [], path=f"users/{user.id}/groups")


def _values(body: dict[str, Any]) -> UserValues:
    values = {key: value for key, value in body.items() if key != "options"}
    for name in ("email", "description"):
        if name in values:
            values[name] = values[name] or ""
    return cast(UserValues, values)
