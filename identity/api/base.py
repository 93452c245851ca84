"""What the views of this API share: the service, links of items and of lists."""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.response import Response

from computecloud.wire.services import IDENTITY
from computecloud.wire.views import ApiView
from identity import policy
from identity.api.changes import CHANGES
from identity.api.serializers import ListQuery


class IdentityView(ApiView):
    """A view of the identity API; any token will do, whatever its scope."""

    service = IDENTITY
    changes = CHANGES
    needs_project = False

    def require_admin(self) -> None:
        """Raise NotAllowed (403) unless the caller is an admin."""
        policy.require(self.caller, policy.ADMIN)

    def linked(self, item: Mapping[str, Any], collection: str) -> dict[str, Any]:
        """Return the item with the link to itself."""
        return {**item, "links": {"self": f"{self.roots[0]}/{collection}/{item['id']}"}}

    def filters(self, *names: str) -> dict[str, Any]:
        """Return those filters of the query that the listed things have."""
        query = self.query(ListQuery)
        return {name: query[name] for name in names if name in query}

    def collection(
        self, name: str, items: Sequence[Mapping[str, Any]], *, path: str = "", next_url: str | None = None
    ) -> Response:
        """Return a list as Keystone writes it; `path` is the collection's address when not its name."""
        path = path or name
        rows = [self.linked(item, name) for item in items]
        ends = {"self": f"{self.roots[0]}/{path}", "previous": None, "next": next_url}
        return self.answer({name: rows, "links": ends})
