"""Servers: create, list, show, change, remove."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import Conflict, InvalidInput
from instances import listing, selectors
from instances.api import server_query
from instances.api.base import ComputeView
from instances.api.changes import EXTENDED, HOST_STATUS
from instances.api.queries import ServersQuery
from instances.api.server_bodies import CreateServerBody, UpdateServer
from instances.api.server_request import server_request
from instances.api.server_view import Setting, views
from instances.models import Instance
from instances.selectors import InstanceNotFound
from instances.services import creation, servers

_QUERY_BEHAVIOURS = ("users_filter_by_more", "unknown_status_is_refused")


class ServerViews(ComputeView):
    """What every view has that shows servers."""

    def shown(self, found: QuerySet[Instance], view: str) -> list[dict[str, Any]]:
        """Return these servers as this version and caller see them."""
        flags = frozenset({EXTENDED, HOST_STATUS}) if self.caller.is_admin else frozenset()
        projection = self.edition.projection("server", view, flags)
        versioned, unversioned = self.roots
        statuses: Mapping[str, str] = selectors.host_statuses() if "host_status" in projection.keys else {}
        setting = Setting(
            versioned=versioned,
            unversioned=unversioned,
            host_status=statuses,
            whole_faults=self.caller.is_admin,
        )
        return views(found, projection, setting)

    def shown_one(self, instance_id: str, view: str) -> dict[str, Any]:
        """Return one live server of the caller's; raises InstanceNotFound."""
        key = selectors.as_uuid(instance_id)
        if key is None:
            raise InstanceNotFound(instance_id)
        shown = self.shown(selectors.live(self.caller).filter(id=key), view)
        if not shown:
            raise InstanceNotFound(instance_id)
        return shown[0]

    def listed(self, view: str, rule: str) -> HttpResponseBase:
        """Answer a list of servers."""
        self.enforce(f"os_compute_api:servers:{rule}")
        server_query.refuse_inner_names(self.request._request.GET)
        query = self.query(ServersQuery)
        page = self.page(query)
        behaves = {name: self.behaves(name) for name in _QUERY_BEHAVIOURS}
        wanted = server_query.wanted(self.caller, query, page, behaves=behaves, view=rule)
        found = self.shown(listing.find(wanted), view)
        body: dict[str, Any] = {"servers": found}
        if after := self.next_links(page, [one["id"] for one in found]):
            body["servers_links"] = after
        return self.answer(body)


class ServersView(ServerViews):
    """GET and POST /servers."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List servers by id, name and links."""
        return self.listed("brief", "index")

    def post(self, _request: Request) -> HttpResponseBase:
        """Create servers; answers 202 before any of them runs."""
        self.no_query()
        self.enforce("os_compute_api:servers:create")
        body = self.body(CreateServerBody)
        wanted = body["server"]
        asked = server_request(self, body)
        created = creation.create(self.caller, asked)
        if wanted.get("return_reservation_id"):
            return self.answer({"reservation_id": created.reservation_id}, status=202)
        first = created.instances[0]
        links = self.links(f"servers/{first.id}")
        server: dict[str, Any] = {
            "id": first.id,
            "links": links,
            "OS-DCF:diskConfig": "AUTO" if first.auto_disk_config else "MANUAL",
            "security_groups": first.security_groups,
        }
        if asked.admin_pass:
            server["adminPass"] = asked.admin_pass
        return self.answer({"server": server}, status=202, headers={"Location": links[0]["href"]})


class ServersDetailView(ServerViews):
    """GET /servers/detail."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List servers with all that is known of them."""
        return self.listed("detail", "detail")


class ServerView(ServerViews):
    """GET, PUT and DELETE /servers/{id}."""

    def get(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Show a server."""
        self.no_query()
        self.enforce("os_compute_api:servers:show")
        return self.answer({"server": self.shown_one(server_id, "show")})

    def put(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Change a server's name and other words about it."""
        self.enforce("os_compute_api:servers:update")
        wanted = self.body(UpdateServer, key="server")
        if "." in wanted.get("hostname", "") and not self.behaves("hostname_may_have_domain"):
            raise InvalidInput(
                "Invalid input for field/attribute hostname. It may not hold a dot before version 2.94."
            )
        instance = selectors.instance(server_id, self.caller)
        columns = {_COLUMNS[key]: value for key, value in wanted.items() if key in _COLUMNS}
        if "disk_config" in wanted:
            columns["auto_disk_config"] = wanted["disk_config"] == "AUTO"
        if "pinned_availability_zone" in wanted:
            columns["pinned_zone"] = _pin(instance, wanted["pinned_availability_zone"])
        servers.update(instance, **columns)
        return self.answer({"server": self.shown_one(server_id, "update")})

    def delete(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Begin to remove a server."""
        self.enforce("os_compute_api:servers:delete")
        servers.delete(self.caller, selectors.instance(server_id, self.caller))
        return self.answer(status=204)


def _pin(instance: Instance, zone: str | None) -> str | None:
    """Return the zone that a server is to stay in from now on: the one it is in, or none."""
    if zone is not None and zone != instance.availability_zone:
        raise Conflict(
            f"Instance {instance.id} is in availability zone {instance.availability_zone}: "
            f"it cannot be pinned to {zone}."
        )
    return zone


_COLUMNS = {
    "name": "name",
    "description": "description",
    "hostname": "hostname",
    "accessIPv4": "access_ip_v4",
    "accessIPv6": "access_ip_v6",
}
