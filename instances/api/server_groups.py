"""Server groups: whose servers are to run together or apart."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

import scheduling.selectors
from computecloud.wire.errors import NotFound
from computecloud.wire.paging import MAX_LIMIT
from instances.api.base import ComputeView
from instances.api.server_group_bodies import CreateServerGroup, ServerGroupsQuery
from instances.selectors import as_uuid
from scheduling import groups
from scheduling.models import ServerGroup

_RULE = "os_compute_api:os-server-groups:"


class ServerGroupViews(ComputeView):
    """What the views of server groups share."""

    def shown(self, group: ServerGroup) -> dict[str, Any]:
        """Return a group as this version shows it."""
        superset = {
            "id": group.id,
            "name": group.name,
            "members": [member.consumer_id for member in group.members.all()],
            "metadata": {},
            "policies": [group.policy],
            "policy": group.policy,
            "rules": {} if group.max_per_node is None else {"max_server_per_host": group.max_per_node},
            "project_id": group.project_id,
            "user_id": group.user_id,
        }
        return self.project("server_group", "show", superset)

    def group(self, group_id: str) -> ServerGroup:
        """Return a group that the caller sees; raises NotFound."""
        key = as_uuid(group_id)
        whose = None if self.caller.is_admin else self.project_id
        found = scheduling.selectors.groups(whose).filter(id=key).first() if key else None
        if found is None:
            raise NotFound(f"Instance group {group_id} could not be found.")
        return found


class ServerGroupsView(ServerGroupViews):
    """GET and POST /os-server-groups."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List the project's groups, an admin's all_projects every project's."""
        self.enforce(_RULE + "index")
        query = self.query(ServerGroupsQuery)
        whose: str | None = self.project_id
        if "all_projects" in query and self.caller.is_admin:  # of anybody else it is not heard, as in Nova
            self.enforce(_RULE + "index:all_projects")
            whose = None
        first = query.get("offset", 0)
        most = min(query.get("limit") or MAX_LIMIT, MAX_LIMIT)
        found = scheduling.selectors.groups(whose)[first : first + most]
        return self.answer({"server_groups": [self.shown(group) for group in found]})

    def post(self, _request: Request) -> HttpResponseBase:
        """Make a group."""
        self.no_query()
        self.enforce(_RULE + "create")
        wanted = self.body(CreateServerGroup, key="server_group")
        made = groups.create(project_id=self.project_id, user_id=self.caller.user_id, **wanted)
        return self.answer({"server_group": self.shown(made)})


class ServerGroupView(ServerGroupViews):
    """GET and DELETE /os-server-groups/{id}."""

    def get(self, _request: Request, group_id: str) -> HttpResponseBase:
        """Show a group."""
        self.no_query()
        self.enforce(_RULE + "show")
        return self.answer({"server_group": self.shown(self.group(group_id))})

    def delete(self, _request: Request, group_id: str) -> HttpResponseBase:
        """Remove a group; its servers stay."""
        self.no_query()
        self.enforce(_RULE + "delete")
        groups.delete(self.group(group_id))
        return self.answer(status=204)
