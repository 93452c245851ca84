"""Networks, subnets and ports over HTTP."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django.db import transaction
from django.http import HttpResponseBase
from rest_framework.request import Request

from computecloud.wire import links
from computecloud.wire.caller import Caller
from computecloud.wire.errors import InvalidInput, NotFound
from computecloud.wire.serializers import StrictSerializer
from computecloud.wire.services import NETWORK
from computecloud.wire.views import ApiView
from identity import policy
from networking import selectors, services
from networking.api import documents, queries, serializers
from networking.api.queries import Asked, Collection
from networking.errors import NetworkNotFound, PortNotFound, SubnetNotFound
from networking.services import WantedIp
from networking.services.networks import NewNetwork
from networking.services.ports import NewPort
from networking.services.subnets import NewSubnet

BULK_MAX = 100  # things that one request makes


class NetworkApiView(ApiView):
    """Base of this room's views: readers read, members change."""

    service = NETWORK

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse who may not do this."""
        super().initial(request, *args, **kwargs)
        reads = request.method in ("GET", "HEAD")
        policy.require(self.caller, policy.READER if reads else policy.MEMBER)


def id_of(text: str, missing: Callable[[Any], NotFound]) -> UUID:
    """Return the id in a path; raises the NotFound of its kind where it is none."""
    try:
        return UUID(text)
    except ValueError:
        raise missing(text[:64]) from None


class CollectionView(NetworkApiView):
    """A collection; a subclass says of what, and how one is made."""

    plural: ClassVar[str]
    singular: ClassVar[str]
    collection: ClassVar[Collection]
    new: ClassVar[type[StrictSerializer]]
    most: ClassVar[int] = BULK_MAX

    def rows(self) -> Any:
        """Return all that the caller may see."""
        raise NotImplementedError

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return what is shown of these."""
        raise NotImplementedError

    def create(self, wanted: dict[str, Any]) -> Any:
        """Make one of this validated body."""
        raise NotImplementedError

    def get(self, request: Request) -> HttpResponseBase:
        """List those that the query asks for."""
        asked = queries.read(request._request.GET, self.collection)
        found = asked.page(self.rows())
        body: dict[str, Any] = {self.plural: [asked.shown(document) for document in self.documents(found)]}
        if found and len(found) == asked.limit:
            body[f"{self.plural}_links"] = [self._next(found, asked)]
        return self.answer(body)

    def create_all(self, wanted: list[dict[str, Any]]) -> list[Any]:
        """Make all of these, or none."""
        with transaction.atomic():
            return [self.create(one) for one in wanted]

    def post(self, _request: Request) -> HttpResponseBase:
        """Make one, or all of several or none."""
        data = self.payload()
        if not isinstance(data, dict):
            raise InvalidInput("Malformed request body: it must be a JSON object.")
        if self.plural not in data:
            made = self.create(self.check(self.new, self.unwrap(data, self.singular), self.singular))
            return self.answer({self.singular: self.documents([made])[0]}, 201)
        several = self.unwrap(data, self.plural)
        if not isinstance(several, list) or not 0 < len(several) <= self.most:
            raise InvalidInput(
                f"Invalid input for {self.plural}. Reason: it must be a list of 1 to {self.most} objects."
            )
        wanted = [self.check(self.new, one, f"{self.plural}.{at}") for at, one in enumerate(several)]
        return self.answer({self.plural: self.documents(self.create_all(wanted))}, 201)

    def _next(self, found: Sequence[Any], asked: Asked) -> dict[str, str]:
        query = self._plain.GET.copy()
        query["marker"] = str((found[0] if asked.reverse else found[-1]).id)
        pairs = [(key, value) for key, values in query.lists() for value in values]
        return {
            "rel": "previous" if asked.reverse else "next",
            "href": f"{links.here(self._plain)}?{urlencode(pairs)}",
        }


class ItemView(NetworkApiView):
    """One of a collection; a subclass says which, and how it is changed and deleted."""

    singular: ClassVar[str]
    changed: ClassVar[type[StrictSerializer]]
    missing: ClassVar[type[NotFound]]
    change: ClassVar[Callable[..., Any]]
    remove: ClassVar[Callable[..., None]]

    def find(self, item_id: UUID) -> Any:
        """Return the row; raises NotFound."""
        raise NotImplementedError

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return what is shown of these."""
        raise NotImplementedError

    def wanted(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a validated body as the service takes it."""
        return body

    def get(self, request: Request, item_id: str) -> HttpResponseBase:
        """Show it."""
        row = self.find(id_of(item_id, self.missing))
        fields = queries.read(request._request.GET, Collection({}, {}))
        return self.answer({self.singular: fields.shown(self.documents([row])[0])})

    def put(self, _request: Request, item_id: str) -> HttpResponseBase:
        """Change it."""
        row_id = id_of(item_id, self.missing)
        changes = self.wanted(self.body(self.changed, key=self.singular))
        row = type(self).change(row_id, changes, caller=self.caller)
        return self.answer({self.singular: self.documents([row])[0]})

    def delete(self, _request: Request, item_id: str) -> HttpResponseBase:
        """Delete it."""
        type(self).remove(id_of(item_id, self.missing), caller=self.caller)
        return self.answer(status=204)


class Networks(CollectionView):
    """The collection of networks."""

    plural, singular, collection, new = "networks", "network", queries.NETWORKS, serializers.NetworkCreate

    def rows(self) -> Any:
        """Return the caller's, shared and external networks."""
        return selectors.networks(self.caller)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return networks with the ids of their subnets."""
        return documents.networks(found, self.caller)

    def create(self, wanted: dict[str, Any]) -> Any:
        """Make a network."""
        return services.create_network(NewNetwork(**wanted), caller=self.caller)


class Network(ItemView):
    """One network."""

    singular, changed, missing = "network", serializers.NetworkUpdate, NetworkNotFound
    change, remove = staticmethod(services.update_network), staticmethod(services.delete_network)

    def find(self, item_id: UUID) -> Any:
        """Return it."""
        return selectors.network(self.caller, item_id)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return it with the ids of its subnets."""
        return documents.networks(found, self.caller)


class Subnets(CollectionView):
    """The collection of subnets."""

    plural, singular, collection, new = "subnets", "subnet", queries.SUBNETS, serializers.SubnetCreate

    def rows(self) -> Any:
        """Return the subnets of the caller's and of shared networks."""
        return selectors.subnets(self.caller)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return subnets."""
        return documents.subnets(found, self.caller)

    def create(self, wanted: dict[str, Any]) -> Any:
        """Make a subnet; it belongs to whom its network belongs to."""
        without_project(wanted, self.caller, "a subnet belongs to its network's project")
        if "gateway_ip" in wanted:
            wanted["gateway"] = wanted.pop("gateway_ip")
        return services.create_subnet(NewSubnet(**wanted), caller=self.caller)


class Subnet(ItemView):
    """One subnet."""

    singular, changed, missing = "subnet", serializers.SubnetUpdate, SubnetNotFound
    change, remove = staticmethod(services.update_subnet), staticmethod(services.delete_subnet)

    def find(self, item_id: UUID) -> Any:
        """Return it."""
        return selectors.subnet(self.caller, item_id)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return it."""
        return documents.subnets(found, self.caller)


class Ports(CollectionView):
    """The collection of ports."""

    plural, singular, collection, new = "ports", "port", queries.PORTS, serializers.PortCreate

    def rows(self) -> Any:
        """Return the caller's ports."""
        return selectors.ports(self.caller)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return ports with their addresses."""
        return documents.ports(found, self.caller)

    def create(self, wanted: dict[str, Any]) -> Any:
        """Make a port with its addresses."""
        return services.create_port(NewPort(**_port(wanted)), caller=self.caller)


class Port(ItemView):
    """One port."""

    singular, changed, missing = "port", serializers.PortUpdate, PortNotFound
    change, remove = staticmethod(services.update_port), staticmethod(services.delete_port)

    def find(self, item_id: UUID) -> Any:
        """Return it."""
        return selectors.port(self.caller, item_id)

    def documents(self, found: Sequence[Any]) -> list[dict[str, Any]]:
        """Return it with its addresses."""
        return documents.ports(found, self.caller)

    def wanted(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the changes, with addresses as the service takes them."""
        return _port(body)


def _port(wanted: dict[str, Any]) -> dict[str, Any]:
    if "fixed_ips" in wanted:
        wanted["fixed_ips"] = [WantedIp(**wish) for wish in wanted["fixed_ips"]]
    return wanted


def without_project(wanted: dict[str, Any], caller: Caller, why: str) -> None:
    """Take the project out of a body where something else decides it; raises InvalidInput for another's."""
    named = wanted.pop("project_id", caller.project_id)
    if named != caller.project_id and not caller.is_admin:
        raise InvalidInput(f"Invalid input for project_id. Reason: {why}.")
