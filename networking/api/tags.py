"""Tags of networks, subnets, ports and security groups: listed, replaced, added and removed."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire.errors import NotFound
from networking import services
from networking.api.serializers import Tags
from networking.api.views import NetworkApiView, id_of
from networking.services import tagging


class TagsOfOne(NetworkApiView):
    """All tags of a thing."""

    def get(self, _request: Request, plural: str, item_id: str) -> HttpResponseBase:
        """List them."""
        return self.answer({"tags": self._find(plural, item_id).tags})

    def put(self, _request: Request, plural: str, item_id: str) -> HttpResponseBase:
        """Replace them."""
        wanted = self.body(Tags)["tags"]
        return self._set(plural, item_id, wanted)

    def delete(self, _request: Request, plural: str, item_id: str) -> HttpResponseBase:
        """Remove them."""
        self._set(plural, item_id, [])
        return self.answer(status=204)

    def _set(self, plural: str, item_id: str, tags: list[str]) -> HttpResponseBase:
        row = self._find(plural, item_id)
        return self.answer({"tags": services.set_tags(row, tags, caller=self.caller)})

    def _find(self, plural: str, item_id: str) -> Any:
        kind = tagging.TAGGED[plural]
        return kind.find(self.caller, id_of(item_id, kind.missing))


class TagOfOne(TagsOfOne):
    """One tag of a thing."""

    def get(self, _request: Request, plural: str, item_id: str, tag: str = "") -> HttpResponseBase:
        """Tell whether it has the tag."""
        if tag not in self._find(plural, item_id).tags:
            raise NotFound(f"Tag {tag[:64]} could not be found.")
        return self.answer(status=204)

    def put(self, _request: Request, plural: str, item_id: str, tag: str = "") -> HttpResponseBase:
        """Add it."""
        checked = self.check(Tags, {"tags": [tag]}, "")["tags"]
        services.add_tags(self._find(plural, item_id), checked, caller=self.caller)
        return self.answer(status=201)

    def delete(self, _request: Request, plural: str, item_id: str, tag: str = "") -> HttpResponseBase:
        """Remove it."""
        services.remove_tag(self._find(plural, item_id), tag, caller=self.caller)
        return self.answer(status=204)
