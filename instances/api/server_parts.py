"""Parts of a server with addresses of their own: its IP addresses, its metadata, what it uses and where it lies."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import InvalidInput, NotFound
from instances import selectors
from instances.api.base import ComputeView
from instances.api.server_bodies import MetaBody, MetadataBody
from instances.services import diagnostics, guest_password, metadata, security_groups

_IPS = "os_compute_api:ips:"
_METADATA = "os_compute_api:server-metadata:"


def _plain(addresses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"version": one["version"], "addr": one["addr"]} for one in addresses]


class IpsView(ComputeView):
    """GET /servers/{id}/ips."""

    def get(self, _request: Request, server_id: str) -> HttpResponseBase:
        """List a server's addresses by network."""
        self.no_query()
        self.enforce(_IPS + "index")
        found = selectors.instance(server_id, self.caller).addresses
        return self.answer({"addresses": {network: _plain(every) for network, every in found.items()}})


class IpsOfNetworkView(ComputeView):
    """GET /servers/{id}/ips/{network}."""

    def get(self, _request: Request, server_id: str, network: str) -> HttpResponseBase:
        """List a server's addresses in one network."""
        self.no_query()
        self.enforce(_IPS + "show")
        found = selectors.instance(server_id, self.caller).addresses
        if network not in found:
            raise NotFound("Instance is not a member of specified network")
        return self.answer({network: _plain(found[network])})


class SecurityGroupsView(ComputeView):
    """GET /servers/{id}/os-security-groups."""

    def get(self, _request: Request, server_id: str) -> HttpResponseBase:
        """List the groups of a server's ports, with their rules for what comes in."""
        self.no_query()
        self.enforce("os_compute_api:os-security-groups:list")
        found = selectors.instance(server_id, self.caller)
        return self.answer({"security_groups": security_groups.shown(found)})


class MetadataView(ComputeView):
    """GET, POST and PUT /servers/{id}/metadata."""

    def get(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Show a server's metadata."""
        self.no_query()
        self.enforce(_METADATA + "index")
        return self.answer({"metadata": selectors.instance(server_id, self.caller).metadata})

    def post(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Add items, or replace those of the same keys."""
        self.enforce(_METADATA + "create")
        return self._put(server_id, replace=False)

    def put(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Replace all items."""
        self.enforce(_METADATA + "update_all")
        return self._put(server_id, replace=True)

    def _put(self, server_id: str, *, replace: bool) -> HttpResponseBase:
        items = self.body(MetadataBody)["metadata"]
        instance = selectors.instance(server_id, self.caller)
        return self.answer({"metadata": metadata.put(self.caller, instance, items, replace=replace)})


class MetaView(ComputeView):
    """GET, PUT and DELETE /servers/{id}/metadata/{key}."""

    def get(self, _request: Request, server_id: str, key: str) -> HttpResponseBase:
        """Show one item."""
        self.no_query()
        self.enforce(_METADATA + "show")
        items = selectors.instance(server_id, self.caller).metadata
        if key not in items:
            raise NotFound("Metadata item was not found")
        return self.answer({"meta": {key: items[key]}})

    def put(self, _request: Request, server_id: str, key: str) -> HttpResponseBase:
        """Set one item."""
        self.enforce(_METADATA + "update")
        items = self.body(MetaBody)["meta"]
        if key not in items:
            raise InvalidInput("Request body and URI mismatch")
        metadata.put(self.caller, selectors.instance(server_id, self.caller), items, replace=False)
        return self.answer({"meta": items})

    def delete(self, _request: Request, server_id: str, key: str) -> HttpResponseBase:
        """Remove one item."""
        self.enforce(_METADATA + "delete")
        metadata.remove(self.caller, selectors.instance(server_id, self.caller), key)
        return self.answer(status=204)


class ServerPasswordView(ComputeView):
    """GET and DELETE /servers/{id}/os-server-password."""

    def get(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Show the password that the guest has posted, encrypted for the server's key; empty where there is none."""
        self.no_query()
        self.enforce("os_compute_api:os-server-password:show")
        return self.answer({"password": guest_password.read(selectors.instance(server_id, self.caller))})

    def delete(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Forget the password; the guest's own is not changed."""
        self.enforce("os_compute_api:os-server-password:clear")
        guest_password.clear(selectors.instance(server_id, self.caller))
        return self.answer(status=204)


class DiagnosticsView(ComputeView):
    """GET /servers/{id}/diagnostics."""

    def get(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Show what a running guest has used; its host is asked."""
        self.no_query()
        self.enforce("os_compute_api:os-server-diagnostics")
        instance = selectors.instance(server_id, self.caller)
        found = diagnostics.figures(instance)
        if self.behaves("diagnostics_are_standard"):
            return self.answer(diagnostics.standard(instance, found))
        return self.answer(diagnostics.by_device(found))


class TopologyView(ComputeView):
    """GET /servers/{id}/topology."""

    def get(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Show on which of its host's NUMA nodes a server lies: on none in particular, none is asked for yet."""
        self.no_query()
        self.enforce("compute:server:topology:index")
        selectors.instance(server_id, self.caller)
        return self.answer({"nodes": [], "pagesize_kb": None})
