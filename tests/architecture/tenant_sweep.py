"""Asking in the stranger's name with the victim's ids, and judging the answers. What is asked is found in the code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from django.urls import URLPattern, get_resolver

from computecloud.openapi import reading
from computecloud.wire import fields
from computecloud.wire.changes import Edition
from computecloud.wire.services import IMAGE, NETWORK, Service, Version
from computecloud.wire.views import ApiView
from identity.testing import Api
from images.api import queries as image_queries
from images.api.views import ImagesView
from networking.api.queries import PAGING
from networking.api.views import CollectionView, ItemView
from tests.architecture.tenant_world import Tenant, World, forms, one_of, rows_with, undone
from tests.architecture.test_roles import patterns

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ID = re.compile(
    r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{32}\b|([0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE
)
# What stands in the places of addresses, by the segment before it and its name, or by its name alone.
KINDS = {
    "server_id": "server",
    "request_id": "request",
    "flavor_id": "flavor",
    "image_id": "image",
    "operation_id": "operation",
    "project_id": "project",
    "members/project_id": "member_project",
    "tenant_id": "project",
    "domain_id": "domain",
    "user_id": "user",
    "credential_id": "credential",
    "rule_id": "rule",
    "ips/network": "network_name",
    "metadata/key": "meta_key",
    "os-extra_specs/key": "spec_key",
    "os-keypairs/name": "keypair",
    "keypairs/name": "keypair",
    "os-server-groups/group_id": "server_group",
    "os-security-groups/group_id": "security_group",
    "os-security-group-rules/rule_id": "security_group_rule",
    "groups/group_id": "group",
    "networks/item_id": "network",
    "networks/network_id": "network",
    "subnets/item_id": "subnet",
    "ports/item_id": "port",
    "security-groups/item_id": "security_group",
    "security-group-rules/item_id": "security_group_rule",
    "rbac-policies/item_id": "rbac_policy",
    "role_id": "cloud_role",
    "implied_id": "cloud_role",
    "services/item_id": "cloud_services",
    "endpoints/item_id": "cloud_endpoints",
    "regions/item_id": "cloud_regions",
    "service_id": "cloud_host",
    "hypervisor_id": "cloud_host",
}
TAGS = {"compute": "server_tag", "identity": "project_tag", "image": "image_tag", "network": "network_tag"}
# Places where a word of ours stands, and no thing.
FIXED = {"action": "deactivate", "class_name": "default", "pattern": "testhost", "schemas/name": "image"}
FIXED |= {"extensions/alias": "os-keypairs", "network:extensions/alias": "quotas"}
FIXED |= {"os-hosts/name": "testhost", "os-instance_usage_audit_log/before": "2026-01-01 00:00:00"}
# Keys of queries that take more than a value alone.
SHAPES = {"fixed_ips": ("subnet_id={}", "ip_address={}", "ip_address_substr={}")}
SWITCHES = {"shared", "all_projects", "is_public", "visibility", "member_status"}
# Keys of queries whose names do not say which kind of thing they name.
ALIKE = {
    "tenant_id": "project",
    "owner": "project",
    "key_name": "keypair",
    "uuid": "server",
    "device_id": "server",
    "remote_group_id": "security_group",
    "object_id": "network",
    "target_tenant": "member_project",
    "reservation_id": "reservation",
    "ip": "address",
    "fixed_ips": "address",
    "mac_address": "mac",
}
OF_PROJECTS = {"project_id", "tenant_id", "owner", "project", "user_id", "scope.project.id", "domain_id"}
CANNOT_REFER = (
    fields.Boolean,
    fields.Integer,
    fields.Number,
    fields.Choice,
    fields.Timestamp,
    fields.Base64,
)
_CHANGING = re.compile(
    r"(x-(openstack|compute)-request-id|date|content-length): .*|req-[0-9a-f-]{36}", re.IGNORECASE
)
_FORGERY = re.compile(r'(name="(?:csrfmiddlewaretoken|idempotency_key)" value=")[^"]+')


@dataclass(frozen=True)
class Route:
    """An address of a service, with the names of its places, and the view that answers there."""

    service: Service
    address: str
    view: type[ApiView]

    @property
    def places(self) -> list[str]:
        """Return the names of its places."""
        return re.findall(r"<(\w+)>", self.address)

    def methods(self, edition: Edition) -> list[str]:
        """Return the methods that a version has."""
        return [
            name
            for name in METHODS
            if hasattr(self.view, name.lower()) and edition.has_route(self.view.route, name)
        ]

    def filled(self, values: dict[str, str]) -> str:
        """Return the path with these values in its places."""
        return filled(self.address, values)


def filled(address: str, values: dict[str, str]) -> str:
    """Return an address with values in its places."""
    return re.sub(r"<(\w+)>", lambda found: quote(values[found[1]], safe=""), address)


def kind_of(service: str, address: str, place: str) -> str:
    """Return which kind of thing stands in a place, or the one word that may; fails where nobody has said."""
    segments = address.split("/")
    before = segments[segments.index(f"<{place}>") - 1]
    for name in (f"{service}:{before}/{place}", f"{before}/{place}", place):
        if name in FIXED:
            return f"={FIXED[name]}"
        if name in KINDS:
            return KINDS[name]
    assert place == "tag", f"say in KINDS or FIXED what stands at <{place}> in {address}"
    return TAGS[service]


def own(tenant: Tenant, kind: str) -> str:
    """Return a tenant's thing of a kind."""
    return kind[1:] if kind.startswith("=") else tenant[kind]


def nobody(value: str) -> str:
    """Return a value of the same form that is nobody's; of an id its neighbour, which sorts as it does."""
    value = re.sub("quagga", "nobody", value, flags=re.IGNORECASE)
    value = value.replace("10.42.", "10.77.").replace("::42", "::77")
    return _ID.sub(lambda found: found[0][:-1] + f"{int(found[0][-1], 16) ^ 1:x}", value)


def form_of(value: str) -> str:
    """Return what is the same of values that are refused alike: that of an id its zeros, of a word nothing."""
    return re.sub(r"[0-9a-f]", "0", value) if _ID.search(value) or value.startswith(("10.", "2001:")) else ""


@cache
def routes(service: Service) -> list[Route]:
    """Return the routes below a service's version root, without a project in the address."""
    root = "/".join(part for part in (service.prefix, service.root) if part) + "/"
    found = []
    for address, pattern in patterns(get_resolver()):
        view = _view(pattern)
        if view is not None and address.startswith(root) and "path_project_id" not in address:
            found.append(Route(service, "/" + plain(address[len(root) :]), view))
    return found


def _view(pattern: URLPattern) -> type[ApiView] | None:
    view = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
    return view if isinstance(view, type) and issubclass(view, ApiView) else None


def plain(address: str) -> str:
    """Return an address whose places are all written `<name>`."""
    address = address.replace("^", "").removesuffix("$")
    address = re.sub(r"\(\?P<(\w+)>[^()]*\)", r"<\1>", address)
    return re.sub(r"<\w+:(\w+)>", r"<\1>", address)


def versions(service: Service) -> list[str]:
    """Return the oldest and newest version, where the service has any."""
    return [str(service.max), str(service.min)] if service.microversions else [""]


def edition(service: Service, view: type[ApiView], version: str) -> Edition:
    """Return what a version of a view's service has."""
    assert view.changes is not None
    return view.changes.at(Version.parse(version) if version else service.min)


def query_keys(route: Route, method: str, at: Edition) -> dict[str, Any]:
    """Return the keys of the query that a method reads, each with its field where it has one."""
    found: dict[str, Any] = {}
    for serializer in reading.method(route.view, method.lower()).queries:
        found |= at.serializer(serializer).fields  # type: ignore[arg-type]
    if method == "GET" and issubclass(route.view, CollectionView):
        found |= dict.fromkeys([*route.view.collection.conditions, *sorted(PAGING)])
    if method == "GET" and issubclass(route.view, ItemView):
        found |= dict.fromkeys(PAGING)
    if method == "GET" and issubclass(route.view, ImagesView):
        known = {*image_queries._COLUMNS, *image_queries._OTHER_KEYS, "a_property"}
        found |= dict.fromkeys(sorted(known))
    return found


@dataclass(frozen=True)
class Query:
    """A query with things of the victim, which of these it names, and whether it may tell that they are there."""

    pairs: tuple[tuple[str, str], ...]
    said: tuple[str, ...] = ()
    may_tell: bool = False

    def of_nobody(self) -> "Query":
        """Return the same about what nobody has."""
        return Query(tuple((key, nobody(value)) for key, value in self.pairs))


def queries_of(route: Route, keys: dict[str, Any], victim: Tenant) -> Iterator[Query]:
    """Return queries with every thing of the victim's for every key, and with every switch beside its projects."""
    for key, one in keys.items():
        for on in _switch(key, one):
            yield Query(((key, on),))
            for other in OF_PROJECTS & keys.keys():
                value = victim[{"user_id": "user", "domain_id": "domain"}.get(other, "project")]
                yield Query(((key, on), (other, value)), (value,))
    for key, one in keys.items():
        if not isinstance(one, CANNOT_REFER):
            yield from _naming(route, key, one, victim)


def _switch(key: str, one: Any) -> tuple[str, ...]:
    """Return what a key of a query may be switched to; nothing where it is no switch."""
    if isinstance(one, fields.Choice):
        return tuple(map(str, one.choices))
    if isinstance(one, fields.Boolean) or type(one).__name__ == "_Switch" or key in SWITCHES:
        return "true", "false", "all", "none", "private"
    return ()


def _naming(route: Route, key: str, one: Any, victim: Tenant) -> Iterator[Query]:
    """Return queries that name the victim's things by one key; all at once where the key takes several."""
    things = victim.values()
    if "name" in key:
        things = {
            kind: value for kind, value in things.items() if kind.endswith("_name") or kind == "keypair"
        }
    shapes = SHAPES.get(key, ("{}",)) if route.service is NETWORK else ("{}",)
    if route.service is NETWORK and key not in PAGING:
        for shape in shapes:
            yield Query(tuple((key, shape.format(one)) for one in things.values()), tuple(things.values()))
    if route.service is IMAGE:
        yield Query(((key, f"in:{','.join(things.values())}"),), tuple(things.values()))
    for kind, value in things.items():
        alike = key == "marker" or ALIKE.get(key) == kind or kind.removesuffix("_name") in key
        if alike or route.service is not NETWORK:
            for shape in shapes:
                yield Query(((key, shape.format(value)),), (value,), alike)


@dataclass
class Answer:
    """What came back: status, all of the text, the tables written to, and where what was said is kept."""

    status: int
    text: str
    named: set[str]

    @property
    def is_ok(self) -> bool:
        """Tell whether it was done."""
        return self.status < 300

    def like(self, said: list[str]) -> tuple[int, str]:
        """Return what must be the same of two answers: all but what the asker said, and what is new each time."""
        text = _FORGERY.sub(r"\1", _CHANGING.sub("", self.text))
        for one in sorted(said, key=len, reverse=True):
            for form in (quote(quote(one, safe=""), safe=""), quote(one, safe=""), *forms(one)):
                text = re.sub(re.escape(form), "<said>", text, flags=re.IGNORECASE)
        return self.status, text


@dataclass(repr=False)
class Sweep:
    """Asks, and keeps what was wrong."""

    world: World
    wrong: list[str] = field(default_factory=list)
    asked: int = 0

    def ask(
        self,
        api: Api,
        method: str,
        path: str,
        body: Any = None,
        *said: str,
        watched: str = "",
        **headers: str,
    ) -> Answer:
        """Ask as the stranger and judge: no failure of ours, nothing of the victim's in it, and nothing of its changed.

        `said`: what the asker has said itself, which may come back and be kept, but for the asker alone. `watched`:
        what nobody has, of which it is noted where it is kept.
        """
        self.asked += 1
        what = f"{method} {api.root}{path} {api.headers.get('OpenStack-API-Version', '')} {body or ''} {headers or ''}"
        with undone() as written:
            response = api.send(method, path, body, **headers)
            content = b"".join(response.streaming_content) if response.streaming else response.content
            text = "\n".join(
                [
                    f"{response.status_code} {response.reason_phrase}",
                    *(f"{name}: {value}" for name, value in response.headers.items()),
                    content.decode(errors="replace"),
                ]
            )
            lost, new = self.world.changes(written) if written else ([], [])
            kept = {table for table in written if watched and rows_with(one_of(watched), table)}
        if response.status_code >= 500:
            self.wrong.append(f"{response.status_code} {what}: {text[-300:]}")
        if leak := self.world.found(text, *said):
            self.wrong.append(f"LEAK of {leak}: {what}: {text[:600]}")
        if lost:
            self.wrong.append(f"CHANGED: {what}: {text[:300]}: {lost}")
        self.wrong += [
            f"NAMED in {table}: {what}: {row}" for table, row in new if self.world.found(row, *said)
        ]
        return Answer(response.status_code, text, {table for table, _ in new} | kept)

    def same(self, what: str, answer: Answer, said: list[str], twin: Answer, twins: list[str]) -> None:
        """Note where an answer tells the victim's thing from one that nobody has."""
        one, other = answer.like(said), twin.like(twins)
        if one != other:
            self.wrong.append(f"TELLS: {what}:\n{one}\n{other}")

    def done(self) -> None:
        """Fail with all that was wrong."""
        assert not self.wrong, f"{len(self.wrong)} of {self.asked}:\n" + "\n\n".join(self.wrong[:400])


def with_query(path: str, query: Query) -> str:
    """Return a path with a query."""
    return f"{path}?{urlencode(query.pairs)}"
