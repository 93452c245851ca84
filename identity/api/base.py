"""What the views of this API share: the service, links of items and of lists."""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.response import Response

from computecloud.wire.errors import InvalidInput
from computecloud.wire.serializers import StrictSerializer
from computecloud.wire.services import IDENTITY
from computecloud.wire.views import ApiView
from identity import policy
from identity.api.changes import CHANGES
from identity.api.serializers import INEXACT, ListQuery

MAX_LISTED = 10_000


class IdentityView(ApiView):
    """A view of the identity API; any token will do, whatever its scope."""

    service = IDENTITY
    changes = CHANGES
    needs_project = False

    def require_admin(self) -> None:
        """Raise NotAllowed (403) unless the caller is an admin."""
        policy.require(self.caller, policy.ADMIN)

    def require_reader_of_all(self) -> None:
        """Raise NotAllowed (403) unless the caller is an admin or a reader of the system."""
        if not policy.reads_everything(self.caller):
            self.require_admin()

    def linked(self, item: Mapping[str, Any], collection: str) -> dict[str, Any]:
        """Return the item with the link to itself."""
        return {**item, "links": {"self": f"{self.roots[0]}/{collection}/{item['id']}"}}

    def changes_of(self, serializer: type[StrictSerializer], kind: str, item_id: str) -> dict[str, Any]:
        """Return the validated body of a PATCH; raises InvalidInput, for another id than the address has too."""
        body = self.body(serializer, key=kind)
        if body.pop("id", None) not in (None, item_id):
            raise InvalidInput(f"Cannot change {kind} ID")
        return body

    def filters(self, *names: str) -> dict[str, Any]:
        """Return those filters of the query that the listed things have; `name` brings its inexact forms.

        Inexact filters ignore case, as Keystone's do on its usual database.
        """
        query = self.query(ListQuery)
        found = {name: query[name] for name in names if name in query}
        if "name" in names:
            found |= {lookup: query[key] for key, lookup in INEXACT.items() if key in query}
        return found

    def filters_in_domain(self, *names: str) -> dict[str, Any]:
        """Return the same, limited to the domain that the caller may list; raises NotAllowed (403)."""
        found = self.filters(*names, "domain_id")
        domain_id = policy.readable_domain(self.caller, found.get("domain_id"))
        return found if domain_id is None else {**found, "domain_id": domain_id}

    def place(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a new user or group with its domain: the one named, else the token's.

        Raises NotAllowed (403) for who may make nothing there.
        """
        policy.require_manager(self.caller)
        domain_id = values.get("domain_id") or self.caller.scope_domain_id or self.caller.domain_id
        if not policy.manages_domain(self.caller, domain_id):
            self.require_admin()
        return {**values, "domain_id": domain_id}

    def collection(
        self, name: str, items: Sequence[Mapping[str, Any]], *, path: str = "", next_url: str | None = None
    ) -> Response:
        """Return a list as Keystone writes it; `path` is the collection's address when not its name."""
        path = path or name
        rows = [self.linked(item, name) for item in items]
        ends = {"self": f"{self.roots[0]}/{path}", "previous": None, "next": next_url}
        return self.answer({name: rows, "links": ends})
