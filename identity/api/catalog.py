"""/services, /endpoints and /regions: read only, since the catalog is built from what is served."""

from collections.abc import Callable
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from computecloud.wire import links
from computecloud.wire.errors import Forbidden, NotFound
from identity import catalog
from identity.api.base import IdentityView

Row = dict[str, Any]
_INEXACT: dict[str, Callable[[str, str], bool]] = {
    "icontains": lambda text, part: part in text,
    "istartswith": str.startswith,
    "iendswith": str.endswith,
}


def _matches(row: Row, key: str, value: Any) -> bool:
    """Tell whether a row has what a filter asks for; of names also a part, in any case."""
    name, _, lookup = key.partition("__")
    return _INEXACT[lookup](row[name].lower(), value.lower()) if lookup else row[name] == value


class _Listed(IdentityView):
    name: ClassVar[str]
    filterable: ClassVar[tuple[str, ...]] = ()

    def rows(self, base: str) -> list[Row]:
        """Return all that there is; base is scheme and host of the APIs."""
        raise NotImplementedError

    def get(self, request: Request, item_id: str | None = None) -> Response:
        """List all, or show one."""
        rows = self.rows(links.base(request._request))
        if item_id is not None:
            found = next((row for row in rows if row["id"] == item_id), None)
            if found is None:
                raise NotFound(f"Could not find {self.name[:-1]}: {item_id[:64]}.")
            return self.answer({self.name[:-1]: self.linked(found, self.name)})
        wanted = self.filters(*self.filterable)
        matching = [row for row in rows if all(_matches(row, *one) for one in wanted.items())]
        return self.collection(self.name, matching)

    def post(self, request: Request, item_id: str | None = None) -> Response:
        """Refuse: nobody writes here."""
        return self._refuse()

    def put(self, request: Request, item_id: str | None = None) -> Response:
        """Refuse: nobody writes here."""
        return self._refuse()

    def patch(self, request: Request, item_id: str | None = None) -> Response:
        """Refuse: nobody writes here."""
        return self._refuse()

    def delete(self, request: Request, item_id: str | None = None) -> Response:
        """Refuse: nobody writes here."""
        return self._refuse()

    def _refuse(self) -> Response:
        self.require_admin()
        raise Forbidden(
            "The catalog is built from what this cloud serves. Set its address by COMPUTECLOUD_PUBLIC_URL and its "
            "region by COMPUTECLOUD_REGION."
        )


class Services(_Listed):
    """What is served."""

    name = "services"
    filterable = ("name", "type")

    def rows(self, base: str) -> list[Row]:
        """Return the services."""
        return catalog.services()


class Endpoints(_Listed):
    """Where it is served."""

    name = "endpoints"
    filterable = ("interface", "service_id")

    def rows(self, base: str) -> list[Row]:
        """Return the endpoints."""
        return catalog.endpoints(base)


class Regions(_Listed):
    """The one region."""

    name = "regions"

    def rows(self, base: str) -> list[Row]:
        """Return the region."""
        return catalog.regions()
