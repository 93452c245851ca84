"""A server's tags, since 2.26."""

from django.http import HttpResponseBase
from rest_framework.request import Request

from instances import selectors
from instances.api.base import ComputeView
from instances.api.server_bodies import TagsBody
from instances.services import tags

_RULE = "os_compute_api:os-server-tags:"


class TagsView(ComputeView):
    """GET, PUT and DELETE /servers/{id}/tags."""

    def get(self, _request: Request, server_id: str) -> HttpResponseBase:
        """List a server's tags."""
        self.no_query()
        self.enforce(_RULE + "index")
        return self.answer({"tags": selectors.instance(server_id, self.caller).tags})

    def put(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Have the server have these tags only."""
        self.no_query()
        self.enforce(_RULE + "update_all")
        wanted = self.body(TagsBody)["tags"]
        return self.answer({"tags": tags.put(selectors.instance(server_id, self.caller), wanted)})

    def delete(self, _request: Request, server_id: str) -> HttpResponseBase:
        """Remove all tags."""
        self.no_query()
        self.enforce(_RULE + "delete_all")
        tags.clear(selectors.instance(server_id, self.caller))
        return self.answer(status=204)


class TagView(ComputeView):
    """GET, PUT and DELETE /servers/{id}/tags/{tag}."""

    def get(self, _request: Request, server_id: str, tag: str) -> HttpResponseBase:
        """Tell by the status whether the server has the tag."""
        self.no_query()
        self.enforce(_RULE + "show")
        instance = selectors.instance(server_id, self.caller)
        if tag not in instance.tags:
            raise tags.missing(instance, tag)
        return self.answer(status=204)

    def put(self, request: Request, server_id: str, tag: str) -> HttpResponseBase:
        """Add a tag: 201 where it is new."""
        self.no_query()
        self.enforce(_RULE + "update")
        if not tags.add(selectors.instance(server_id, self.caller), tag):
            return self.answer(status=204)
        return self.answer(status=201, headers={"Location": request.build_absolute_uri()})

    def delete(self, _request: Request, server_id: str, tag: str) -> HttpResponseBase:
        """Remove a tag."""
        self.no_query()
        self.enforce(_RULE + "delete")
        tags.remove(selectors.instance(server_id, self.caller), tag)
        return self.answer(status=204)
