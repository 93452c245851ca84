"""/groups, and who is in them."""

from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from identity import policy, selectors
from identity.api import presentation
from identity.api.base import MAX_LISTED, IdentityView
from identity.api.serializers import GroupBody, GroupPatch, ListQuery
from identity.models import Group, User
from identity.services import groups
from identity.services.groups import GroupValues


class Groups(IdentityView):
    """Groups: all for admins, a domain's for its readers."""

    def get(self, request: Request) -> Response:
        """List groups by filters."""
        filters = self.filters_in_domain("name")
        page = self.page(self.query(ListQuery), MAX_LISTED)
        rows = selectors.listed(Group, filters, marker=page.marker, limit=page.limit)
        url = page.next_url(request._request, [row.id for row in rows])
        return self.collection("groups", [presentation.group(row) for row in rows], next_url=url)

    def post(self, request: Request) -> Response:
        """Make a group."""
        policy.require_manager(self.caller)
        values = self.place(_values(self.body(GroupBody, key="group")))
        group = groups.create(cast(GroupValues, values))
        return self.answer({"group": self.linked(presentation.group(group), "groups")}, 201)


class OneGroup(IdentityView):
    """One group."""

    def get(self, request: Request, group_id: str) -> Response:
        """Show the group."""
        group = selectors.visible_group(self.caller, group_id)
        return self.answer({"group": self.linked(presentation.group(group), "groups")})

    def patch(self, request: Request, group_id: str) -> Response:
        """Change the group."""
        group = selectors.writable(self.caller, Group, group_id)
        values = _values(self.changes_of(GroupPatch, "group", group_id))
        group = groups.update(group, cast(GroupValues, values))
        return self.answer({"group": self.linked(presentation.group(group), "groups")})

    def delete(self, request: Request, group_id: str) -> Response:
        """Delete the group."""
        group = selectors.writable(self.caller, Group, group_id)
        _refuse_more(self, group)
        groups.delete(group)
        return self.answer(status=204)


class GroupUsers(IdentityView):
    """Who is in a group."""

    def get(self, request: Request, group_id: str) -> Response:
        """List the users by filters."""
        group = selectors.visible_group(self.caller, group_id)
        self.require_admin_unless(policy.reads_domain(self.caller, group.domain_id))
        page = self.page(self.query(ListQuery), MAX_LISTED)
        filters = {"memberships__group_id": group.id, **self.filters("name", "enabled")}
        rows = selectors.listed(User, filters, marker=page.marker, limit=page.limit)
        url = page.next_url(request._request, [row.id for row in rows])
        path = f"groups/{group.id}/users"
        return self.collection("users", [presentation.user(row) for row in rows], path=path, next_url=url)

    def require_admin_unless(self, allowed: object) -> None:
        """Raise NotAllowed (403) unless allowed, or an admin asks."""
        if not allowed:
            self.require_admin()


class GroupUser(IdentityView):
    """One user in a group."""

    def put(self, request: Request, group_id: str, user_id: str) -> Response:
        """Put the user into the group."""
        groups.add(*self._pair(group_id, user_id))
        return self.answer(status=204)

    def get(self, request: Request, group_id: str, user_id: str) -> Response:
        """Answer 204 when the user is in the group, else 404."""
        selectors.visible_user(self.caller, user_id)
        selectors.visible_group(self.caller, group_id)
        if not selectors.is_member(group_id, user_id):
            raise groups.not_in(group_id, user_id)
        return self.answer(status=204)

    def delete(self, request: Request, group_id: str, user_id: str) -> Response:
        """Take the user out of the group."""
        groups.remove(*self._pair(group_id, user_id))
        return self.answer(status=204)

    def _pair(self, group_id: str, user_id: str) -> tuple[Group, User]:
        group = selectors.writable(self.caller, Group, group_id)
        _refuse_more(self, group)
        return group, selectors.writable(self.caller, User, user_id)


def _refuse_more(view: IdentityView, group: Group) -> None:
    """Refuse a domain's manager what would give or take roles that it may not give (403)."""
    if not view.caller.is_admin and selectors.has_more_than(policy.DELEGABLE, group=group):
        view.require_admin()


def _values(body: dict[str, Any]) -> dict[str, Any]:
    values = {key: value for key, value in body.items() if key != "options"}
    if "description" in values:
        values["description"] = values["description"] or ""
    return values
