"""Two tenants: ids of the one in every place of every address, query and body that the other sends. Nothing leaks.

What is asked comes from the code: addresses from the URL map, keys of queries and fields of bodies from the
serializers. Of every answer it is asserted that there is nothing of the victim's in it and that it is no failure of
ours; that no row of the victim's has changed and none that is new names it; and that the answer is the one that
somebody gets who names what nobody has.

What tells, by design, that something of another tenant's is there:
- an image's id that one chooses is refused where it is taken (409), as Glance does: ids are of the whole cloud;
- names of domains, roles and flavors are of the whole cloud, but only admins give them; names of projects, users and
  groups are of a domain, and only its manager gives them;
- an address or MAC that is taken on a network that is shared with both tenants (409), as Neutron does;
- who holds a token or a secret may use it: they are no ids.
"""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
from django.urls import get_resolver

from computecloud.browse import sessions
from computecloud.browse import urls as pages
from computecloud.openapi import reading
from computecloud.wire.services import COMPUTE, IDENTITY, IMAGE, NETWORK, OPERATIONS, Service
from identity.testing import Api, token_for
from tests.architecture import tenant_sweep as sweeping
from tests.architecture.tenant_bodies import TEMPLATES
from tests.architecture.tenant_sweep import (
    Answer,
    Route,
    Sweep,
    edition,
    form_of,
    kind_of,
    nobody,
    own,
    versions,
)
from tests.architecture.tenant_templates import Slot, Template, inside, made_of, places_of
from tests.architecture.tenant_world import Tenant, build

pytestmark = pytest.mark.sweep

SERVED = [COMPUTE, IDENTITY, IMAGE, NETWORK, OPERATIONS]
# What is only for admins or for readers of the system, or needs a header.
FOR_OTHERS = {
    "/auth/tokens",
    *(
        f"/system/{holder}{role}"
        for holder in ("users/<user_id>/roles", "groups/<group_id>/roles")
        for role in ("", "/<role_id>")
    ),
    *("/roles/<role_id>/implies", "/roles/<role_id>/implies/<implied_id>", "/role_inferences"),
    *("/servers/<server_id>/diagnostics", "/flavors/<flavor_id>/os-flavor-access", "/os-aggregates"),
    *("/os-hypervisors", "/os-hypervisors/detail", "/os-hypervisors/<hypervisor_id>", "/os-services"),
    *("/os-quota-class-sets/<class_name>", "/os-availability-zone/detail", "/quotas"),
    *("/os-hosts", "/os-hosts/<name>", "/os-simple-tenant-usage"),
    *("/os-instance_usage_audit_log", "/os-instance_usage_audit_log/<before>"),
}
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture
def sweep(db: None, settings: Any) -> Iterator[Sweep]:
    """Return who asks; what was wrong fails the test at its end."""
    settings.PASSWORD_HASHERS = ["tests.identity.hashers.CheapHasher"]
    found = Sweep(build())
    yield found
    found.done()


def named(service: Service) -> str:
    return service.type


def bodies_of(route: Route, method: str) -> list[Template]:
    """Return the templates of a method of a route."""
    return [
        one
        for one in TEMPLATES
        if one.service is route.service and one.view == route.view.__name__ and one.method == method
    ]


def apis(sweep: Sweep, service: Service, version: str) -> list[Api]:
    """Return the stranger's clients: with a token for a project, and in Identity also with one for the domain."""
    found = [sweep.world.stranger.api(service, version)]
    return [*found, sweep.world.stranger.api(service, version, keeper=True)] if service is IDENTITY else found


def chosen(sweep: Sweep, route: Route) -> Iterator[tuple[dict[str, str], dict[str, str], list[str]]]:
    """Return values of an address's places: one or more are the victim's, and nobody's in the second of each pair."""
    victim, stranger = sweep.world.victim, sweep.world.stranger
    kinds = {place: kind_of(route.service.type, route.address, place) for place in route.places}
    for whose in product((stranger, victim), repeat=len(kinds)):
        first = {place: own(one, kind) for (place, kind), one in zip(kinds.items(), whose, strict=True)}
        theirs = [
            place
            for (place, kind), one in zip(kinds.items(), whose, strict=True)
            if one is victim and own(victim, kind) != own(stranger, kind)
        ]
        if theirs:
            yield (
                first,
                first | {place: nobody(first[place]) for place in theirs},
                [first[one] for one in theirs],
            )


def test_every_service_of_the_map_is_swept() -> None:
    assert {route.service.type for one in SERVED for route in sweeping.routes(one)} == {
        one.type for one in SERVED
    }
    assert len([route for one in SERVED for route in sweeping.routes(one)]) > 120


@pytest.mark.parametrize("service", SERVED, ids=named)
def test_one_s_own_things_are_there(sweep: Sweep, service: Service) -> None:
    stranger, version = sweep.world.stranger, versions(service)[0]
    for route in sweeping.routes(service):
        path = route.filled(
            {place: own(stranger, kind_of(service.type, route.address, place)) for place in route.places}
        )
        if "GET" in route.methods(edition(service, route.view, version)):
            answers = [sweep.ask(api, "GET", path) for api in apis(sweep, service, version)]
            if not any(one.is_ok for one in answers) and route.address not in FOR_OTHERS:
                sweep.wrong.append(f"CONTROL: {path}: {answers[-1].text}")


@pytest.mark.parametrize("service", SERVED, ids=named)
def test_addresses(sweep: Sweep, service: Service) -> None:
    for version, route in product(versions(service), sweeping.routes(service)):
        for method in route.methods(edition(service, route.view, version)):
            for api, body in product(apis(sweep, service, version), _bodies(sweep, route, method)):
                for mine, theirs, said in chosen(sweep, route):
                    _ask_both(
                        sweep, api, method, (route.filled(mine), said), (route.filled(theirs), []), body
                    )


def _bodies(sweep: Sweep, route: Route, method: str) -> list[tuple[Any, dict[str, str]]]:
    if method not in ("POST", "PUT", "PATCH"):
        return [(None, {})]
    found = [(one.made(sweep.world.stranger), dict(one.headers)) for one in bodies_of(route, method)]
    return found or [({}, {})]


def _ask_both(
    sweep: Sweep, api: Api, method: str, mine: tuple[str, list[str]], theirs: tuple[str, list[str]], body: Any
) -> None:
    """Ask for the victim's thing and for one that nobody has: the answers are the same."""
    content, headers = body
    (path, said), (other, _) = mine, theirs
    answer = sweep.ask(api, method, path, content, *said, **headers)
    twin = sweep.ask(api, method, other, content, **headers)
    sweep.same(f"{method} {path} {other} {content}", answer, said, twin, [nobody(one) for one in said])


@pytest.mark.parametrize("service", SERVED, ids=named)
def test_any_of_the_victim_s_ids_in_any_place(sweep: Sweep, service: Service) -> None:
    stranger, version = sweep.world.stranger, versions(service)[0]
    values = list(dict.fromkeys(sweep.world.victim.values().values()))
    for route in sweeping.routes(service):
        usual = {place: own(stranger, kind_of(service.type, route.address, place)) for place in route.places}
        for method, place, value in product(
            route.methods(edition(service, route.view, version)), route.places, values
        ):
            for body, headers in _bodies(sweep, route, method)[:1]:
                path = route.filled(usual | {place: value})
                # In Identity who manages a domain may ask for all that anybody may.
                sweep.ask(apis(sweep, service, version)[-1], method, path, body, value, **headers)


@pytest.mark.parametrize("service", SERVED, ids=named)
def test_queries(sweep: Sweep, service: Service) -> None:
    victim, stranger = sweep.world.victim, sweep.world.stranger
    version = versions(service)[0]
    for route in sweeping.routes(service):
        at = edition(service, route.view, version)
        usual = {place: own(stranger, kind_of(service.type, route.address, place)) for place in route.places}
        for method, api in product(route.methods(at), apis(sweep, service, version)):
            for query in sweeping.queries_of(route, sweeping.query_keys(route, method, at), victim):
                if (
                    service is IDENTITY
                    and api is not apis(sweep, service, version)[-1]
                    and not query.may_tell
                ):
                    continue  # who manages a domain sees what everybody sees, and more
                path = sweeping.with_query(route.filled(usual), query)
                answer = sweep.ask(api, method, path, None, *query.said)
                if query.may_tell:
                    other = sweeping.with_query(route.filled(usual), query.of_nobody())
                    twin = sweep.ask(api, method, other)
                    sweep.same(
                        f"{method} {path}", answer, query.said, twin, [nobody(one) for one in query.said]
                    )


def test_every_field_of_every_body_is_in_a_template() -> None:
    slots: dict[Any, set[str]] = {}  # of several templates for one body each has a part
    for one in TEMPLATES:
        slots.setdefault((one.view, one.method, one.place, one.serializer), set()).update(one.slots)
    missing, lost = set(), set()
    for one in TEMPLATES:
        has = slots[one.view, one.method, one.place, one.serializer]
        editions = [edition(one.service, _view_of(one), version) for version in versions(one.service)]
        places = {place for at in editions for place in places_of(one, at)}
        missing |= {
            f"say in the template {one} what stands at {place}"
            for place in places
            if not any(f"{path}/".startswith(f"{place}/") for path in has)
        }
        lost |= {
            f"there is nothing at {path} in {one}"
            for path in has
            if not any(f"{path}/".startswith(f"{place}/") for place in places)
        }
    assert sorted(missing | lost) == []


def test_every_body_has_a_template() -> None:
    held = {part for one in TEMPLATES for part in inside(one.serializer)} | {
        serializer
        for service in SERVED
        for route in sweeping.routes(service)
        for method in sweeping.METHODS
        if hasattr(route.view, method.lower())
        for query in reading.method(route.view, method.lower()).queries
        for serializer in inside(query)
    }
    unknown = [
        f"make a template for the body {one.__module__}.{one.__name__}"
        for one in made_of()
        if one not in held
    ]
    assert unknown == []


def _view_of(template: Template) -> Any:
    found = {
        route.view for route in sweeping.routes(template.service) if route.view.__name__ == template.view
    }
    assert len(found) == 1, template
    return found.pop()


@pytest.mark.parametrize("service", [COMPUTE, IDENTITY, IMAGE, NETWORK], ids=named)
def test_bodies(sweep: Sweep, service: Service) -> None:
    for version, one in product(versions(service), TEMPLATES):
        if one.service is service:
            _Bodies(sweep, one, version).all()


class _Bodies:
    """Asks with things in the places of one template's body."""

    def __init__(self, sweep: Sweep, template: Template, version: str) -> None:
        self.sweep, self.template = sweep, template
        self.victim, self.stranger = sweep.world.victim, sweep.world.stranger
        self.api = self.stranger.api(template.service, version, keeper=template.keeper)
        self.at = edition(template.service, _view_of(template), version)
        self.newest = version == versions(template.service)[0]
        usual = next(route for route in sweeping.routes(template.service) if self._is_its(route))
        kinds = {
            place: template.path.get(place) or kind_of(template.service.type, usual.address, place)
            for place in usual.places
        }
        self.path = usual.filled({place: own(self.stranger, kind) for place, kind in kinds.items()})
        self.has_route = template.method in usual.methods(self.at)

    def _is_its(self, route: Route) -> bool:
        return route.view.__name__ == self.template.view

    def all(self) -> None:
        """Ask everything."""
        places = places_of(self.template, self.at)
        if not self.has_route:
            return
        if self.template.admins:
            self.expect(
                403, self.ask(self.template.made(self.stranger, oldest=not self.newest)), "an admin's"
            )
        for path, slot in self.template.slots.items():
            if any(f"{path}/".startswith(f"{place}/") for place in places):
                self.usual(path, slot)
                if self.newest:
                    self.others(path, slot)

    def ask(self, body: Any, *said: str, watched: str = "") -> Answer:
        """Ask with a body."""
        method, headers = self.template.method, self.template.headers
        return self.sweep.ask(self.api, method, self.path, body, *said, watched=watched, **headers)

    def put(self, path: str, value: Any, *said: str, watched: str = "") -> Answer:
        """Ask with a value at a place."""
        body = self.template.made(self.stranger, path, value, oldest=not self.newest)
        return self.ask(body, *said, watched=watched)

    def expect(self, status: int, answer: Answer, what: str) -> None:
        """Note an answer that is another one; 200 is any that something was done."""
        if answer.status != status and not (status == 200 and answer.is_ok):
            self.sweep.wrong.append(f"CONTROL: {self.template}: {what}: {answer.text[:400]}")

    def usual(self, path: str, slot: Slot) -> None:
        """Ask with one's own thing, which is done; with the victim's and with nobody's, which are answered alike."""
        if slot.refused:
            self.put(path, "anything")
            return
        mine = self.put(path, own(self.stranger, slot.kind))
        if slot.is_word:
            self.expect(200, mine, path)
            return
        value = self.victim[slot.kind]
        said = (value,)
        theirs, twin = self.put(path, value, *said), self.put(path, nobody(value))
        if slot.taken:
            self.expect(409, theirs, path)
            self.expect(200, twin, path)
            return
        self.expect(200, twin if slot.free else mine, path)
        if slot.free:
            self.expect(twin.status, theirs, f"{path} {value} as {nobody(value)}")
        else:
            self.sweep.same(f"{self.template} {path} {value}", theirs, said, twin, [nobody(value)])
            if theirs.is_ok:
                self.sweep.wrong.append(f"OPEN: {self.template} {path}: {theirs.text[:400]}")

    def others(self, path: str, slot: Slot) -> None:
        """Ask with every other thing of the victim's: it is answered as nobody's, and kept where nobody's is kept."""
        twins: dict[str, tuple[Answer, str]] = {}  # by the form of what is asked with
        for kind, value in self.victim.values().items():
            if slot.free and kind.endswith(("_name", "_tag")) and not path.endswith("name"):
                continue  # a word is a word
            answer = self.put(path, value, value)
            if slot.is_word or slot.refused or slot.taken:
                continue
            form = form_of(value)
            if form not in twins and (answer.is_ok or not slot.free):
                twins[form] = self.put(path, nobody(value), watched=nobody(value)), nobody(value)
            if slot.free and answer.is_ok:
                if answer.named - twins[form][0].named:
                    self.sweep.wrong.append(f"NAMED: {self.template} {path} {kind}: {answer.named}")
            elif not slot.free:
                twin, other = twins[form]
                self.sweep.same(f"{self.template} {path} {kind}", answer, [value], twin, [other])
                if answer.is_ok:
                    self.sweep.wrong.append(f"OPEN: {self.template} {path} {kind}: {answer.text[:400]}")


def test_the_victim_s_project_in_the_address_of_every_service_s_roots(sweep: Sweep) -> None:
    victim, stranger = sweep.world.victim["project"], sweep.world.stranger
    for root, version in product(("v2.1", "v2"), versions(COMPUTE)):
        api = Api(stranger.who, COMPUTE, version=version)
        api.root = f"/compute/{root}"
        for route in sweeping.routes(COMPUTE):
            kinds = {place: kind_of("compute", route.address, place) for place in route.places}
            path = route.filled({place: own(sweep.world.victim, kind) for place, kind in kinds.items()})
            said = [own(sweep.world.victim, kind) for kind in kinds.values()]
            for method in route.methods(edition(COMPUTE, route.view, version)):
                sweep.ask(api, method, path, None, *said)
                answer = sweep.ask(api, method, f"/{victim}{path}", None, victim, *said)
                twin = sweep.ask(api, method, f"/{nobody(victim)}{path}", None, *said)
                sweep.same(f"{method} {path}", answer, [victim], twin, [nobody(victim)])


def test_headers(sweep: Sweep) -> None:
    victim, stranger = sweep.world.victim, sweep.world.stranger
    body = {"network": {"name": "one"}}
    key = {"Idempotency_Key": f"{victim.name}-idempotency"}
    made = victim.api(NETWORK).post("/networks", body, **key).json()["network"]["id"]
    sweep.world.look()
    answer = sweep.ask(stranger.api(NETWORK), "POST", "/networks", body, *key.values(), **key)
    assert answer.status == 201 and made not in answer.text
    for method in ("GET", "DELETE"):
        for api in apis(sweep, IDENTITY, ""):
            answer = sweep.ask(api, method, "/auth/tokens", X_Subject_Token=victim["token"])
            assert answer.status == 403


def _page_addresses() -> Iterator[tuple[str, str]]:
    """Return the addresses of pages with their service: the pages' own, and those of all that the APIs have."""
    for _, pattern in sweeping.patterns(get_resolver(pages.__name__)):
        address = sweeping.plain(str(pattern.pattern))
        if "(?:" not in address:
            yield (
                "/" + address,
                next((one.type for one in SERVED if address.startswith(one.prefix)), "compute"),
            )
    for service in SERVED:
        root = f"/{service.prefix}/{service.root}".rstrip("/")
        yield from ((root + route.address, service.type) for route in sweeping.routes(service))


def test_pages(sweep: Sweep) -> None:
    victim, stranger = sweep.world.victim, sweep.world.stranger
    values = list(dict.fromkeys(victim.values().values()))
    browser = _logged_in(stranger)
    addresses = list(dict.fromkeys(_page_addresses()))
    for address, service in addresses:
        places = re.findall(r"<(\w+)>", address)
        kinds = {place: kind_of(service, address, place) for place in places}
        usual = {place: own(stranger, kind) for place, kind in kinds.items()}
        for method, place in product(("GET", "POST") if "/browse/" in address else ("GET",), places):
            value = own(victim, kinds[place])
            path, other = (sweeping.filled(address, usual | {place: one}) for one in (value, nobody(value)))
            answer, twin = sweep.ask(browser, method, path, None, value), sweep.ask(browser, method, other)
            if value != usual[place]:
                sweep.same(f"{method} {path}", answer, [value], twin, [nobody(value)])
        if not places:
            for value in values:
                sweep.ask(
                    browser, "GET", f"{address}?{urlencode({'marker': value, 'next': value})}", None, value
                )
            for query in (
                "all_tenants=1",
                "all_projects=1",
                f"project={victim['project']}",
                "is_public=none",
            ):
                sweep.ask(browser, "GET", f"{address}?{query}", None, victim["project"])
    assert len(addresses) > 120


def test_forms(sweep: Sweep) -> None:
    victim, stranger = sweep.world.victim, sweep.world.stranger
    browser = _logged_in(stranger)
    least = {"name": "one", "flavor": "1", "image": stranger["cloud_image"], "networks": "none", "key": ""}
    made = sweep.ask(browser, "POST", "/browse/servers/new", urlencode(least).encode(), **FORM)
    assert made.status == 302, made.text
    fields = ("flavor", "image", "networks", "key", "groups", "zone", "project")
    for field, value in product(fields, dict.fromkeys(victim.values().values())):
        form = urlencode({**least, field: value}).encode()
        answer = sweep.ask(browser, "POST", "/browse/servers/new", form, value, **FORM)
        assert answer.status >= 400 or field in ("groups", "zone"), (field, answer.text)


FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def _logged_in(stranger: Tenant) -> Api:
    """Return the stranger's browser, logged in."""
    api = Api(None, COMPUTE, raise_errors=False)
    api.root = ""
    session = api.client.session
    session[sessions.TOKEN] = token_for(stranger.who)
    session.save()
    api.headers["Accept"] = HTML
    return api
