"""Pages of collections: limit, marker and the link to the next page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest

from computecloud.wire import fields, links
from computecloud.wire.serializers import StrictSerializer

MAX_LIMIT = 1_000


class PageQuery(StrictSerializer):
    """The query keys of every paged collection; a collection's own query serializer inherits it."""

    limit = fields.Integer(min_value=0, required=False)
    marker = fields.Text(max_length=255, required=False)


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` things after the one whose id is `marker`."""

    limit: int = MAX_LIMIT
    marker: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, Any], max_limit: int = MAX_LIMIT) -> "Page":
        """Return the page that a validated query asks for; no limit, or 0, is the largest page."""
        return cls(min(query.get("limit") or max_limit, max_limit), query.get("marker"))

    def next_url(self, request: HttpRequest, ids: Sequence[object]) -> str | None:
        """Return the address of the page after the one that holds ids; None when that one is not full."""
        if not ids or len(ids) < self.limit:
            return None
        query = request.GET.copy()
        query["marker"] = str(ids[-1])
        pairs = [(key, value) for key, values in query.lists() for value in values]
        return f"{links.here(request)}?{urlencode(pairs)}"

    def next_links(self, request: HttpRequest, ids: Sequence[object]) -> list[links.Link]:
        """Return `[{rel: next, href}]`, or an empty list when this page is not full."""
        url = self.next_url(request, ids)
        return [{"rel": "next", "href": url}] if url else []
