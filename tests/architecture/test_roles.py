"""Every method of every API, asked by each role: who may not is told 403, and nobody else is.

The cases are made from the URL map, so a new route is in them the moment it exists. What is written here is only which
routes ask for less than the rule of the house: reading needs the role reader, writing the role member.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from computecloud.wire.caller import Caller
from computecloud.wire.services import COMPUTE, IDENTITY, SERVICES, Service, Version
from computecloud.wire.views import ApiView
from identity import revocation
from identity.testing import Api, caller
from instances.api.actions import ACTIONS
from instances.models import Instance
from instances.policies import RULES

READS = ("GET",)
# What anybody with a token may ask of the APIs of servers, images and networks; in Nova's policies these are `@`.
FOR_ANYBODY = {
    ("FlavorsView", "GET"),
    ("FlavorsDetailView", "GET"),
    ("FlavorView", "GET"),
    ("LimitsView", "GET"),
    ("QuotaDefaultsView", "GET"),
    ("ZonesView", "GET"),
    ("ExtensionsView", "GET"),
    ("ExtensionView", "GET"),
}
# A user's own things, whatever the roles.
OWN = {
    ("KeypairsView", "GET"),
    ("KeypairsView", "POST"),
    ("KeypairView", "GET"),
    ("KeypairView", "DELETE"),
}
# What is for admins alone, whatever else they have.
FOR_ADMINS = {
    ("DiagnosticsView", "GET"),
    ("ServicesView", "GET"),
    ("ServiceView", "PUT"),
    ("ServiceView", "DELETE"),
    ("AggregatesView", "GET"),
    ("HypervisorsView", "GET"),
    ("HypervisorsDetailView", "GET"),
    ("HypervisorView", "GET"),
    ("HypervisorUptimeView", "GET"),
    ("HypervisorsSearchView", "GET"),
    ("HypervisorsServersView", "GET"),
    ("HypervisorStatisticsView", "GET"),
    ("QuotaSetView", "PUT"),
    ("QuotaSetView", "DELETE"),
    ("QuotaClassView", "GET"),
    ("QuotaClassView", "PUT"),
    ("FlavorsView", "POST"),
    ("FlavorView", "PUT"),
    ("FlavorView", "DELETE"),
    ("Quotas", "GET"),
    ("Quota", "PUT"),
    ("Quota", "DELETE"),
}
OWN_PROJECT = "one-s-own-project"  # in an address: of whoever asks, for a quota is a project's
# Where the body says what is asked for.
BODIES = {("FlavorActionView", "POST"): {"addTenantAccess": {"tenant": "x"}}}
# Identity: what needs no admin, no domain's manager and no reader of a domain or the system.
IDENTITY_FOR_ALL = {
    *(("Tokens", method) for method in ("GET", "POST", "DELETE")),
    *((name, "GET") for name in ("OwnProjects", "OwnDomains", "OwnSystem", "OwnCatalog")),
    *((name, "GET") for name in ("Services", "Endpoints", "Regions")),
    ("UserPassword", "POST"),
}
# Things that one sees of oneself; of anybody else they are not there.
IDENTITY_NOT_THERE = {
    *(
        (name, "GET")
        for name in ("OneUser", "UserProjects", "UserGroups", "OneGroup", "GroupUser", "OneProject")
    ),
    *((name, "GET") for name in ("OneDomain", "ProjectTags", "ProjectTag", "GroupUsers")),
}


@dataclass(frozen=True)
class Case:
    """One method of one route."""

    service: Service
    path: str
    view: type[ApiView]
    method: str

    @property
    def key(self) -> tuple[str, str]:
        return self.view.__name__, self.method

    def __str__(self) -> str:
        return f"{self.method} {self.view.__name__} {self.path}"


def patterns(resolver: Any, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in resolver.url_patterns:
        address = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one, address)
        else:
            yield address, one


def filled(address: str) -> str:
    """Return an address with something in each of its places that is there for nobody."""
    words = {"action": "deactivate", "service": "compute", "tenant_id": OWN_PROJECT}
    address = address.removeprefix("^").removesuffix("$")
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: words.get(found[1], str(uuid.UUID(int=7))), address)


@cache
def cases() -> list[Case]:
    """Return every method of every route below a service's own version root, without a project in the path."""
    found = {}
    for address, pattern in patterns(get_resolver()):
        view = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
        if not isinstance(view, type) or not issubclass(view, ApiView) or "path_project_id" in address:
            continue
        for service in SERVICES:
            root = "/".join(part for part in (service.prefix, service.root) if part) + "/"
            if address.startswith(root):
                for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                    if hasattr(view, method.lower()):
                        case = Case(service, "/" + filled(address[len(root) :]), view, method)
                        found[str(case), service.type] = case
    return list(found.values())


def ids(case: Case) -> str:
    return f"{case.service.type} {case}"


@pytest.fixture(autouse=True)
def _rows(db: None) -> None:
    """Begin without remembered revocations."""
    revocation.forget()


def status(who: Caller, case: Case) -> tuple[int, str]:
    """Return status and text of the answer, at the newest version that has the method."""
    versions = [str(case.service.max), str(case.service.min)] if case.service.microversions else [""]
    last = (0, "")
    for version in versions:
        api = Api(who, case.service, version=version)
        body = BODIES.get(case.key, {} if case.method in ("POST", "PUT") else None)
        path = case.path.replace(OWN_PROJECT, str(who.project_id))
        answer = api.send(case.method, path, body)
        last = (answer.status_code, answer.content.decode() if hasattr(answer, "content") else "")
        if case.view.changes is None or _has_route(case, version):
            break
    return last


def _has_route(case: Case, version: str) -> bool:
    edition = case.view.changes.at(Version.parse(version) if version else case.service.min)
    return edition.has_route(case.view.route, case.method)


@cache
def _others() -> list[Case]:
    return [case for case in cases() if case.service is not IDENTITY and not case.view.public]


def test_there_are_cases_of_every_service_that_is_served() -> None:
    assert {case.service.type for case in cases()} >= {
        "identity",
        "compute",
        "image",
        "network",
        "operations",
    }
    assert len(cases()) > 120


def _is_asked_elsewhere(case: Case) -> bool:
    """Tell whether nobody must say who they are, or the server is looked up first: then it needs one of its own."""
    return case.method in case.view.public_methods or case.view.__name__ == "ActionView"


@pytest.mark.parametrize("case", _others(), ids=ids)
def test_without_a_role_that_counts_nothing_is_allowed(case: Case) -> None:
    if case.key in FOR_ANYBODY | OWN or _is_asked_elsewhere(case):
        return
    code, text = status(caller("auditor"), case)
    assert code == 403, (code, text[:200])


@pytest.mark.parametrize("case", [one for one in _others() if one.method not in READS], ids=ids)
def test_a_reader_writes_nothing(case: Case) -> None:
    if case.key in OWN or _is_asked_elsewhere(case):
        return
    code, text = status(caller("reader"), case)
    assert code == 403, (code, text[:200])


@pytest.mark.parametrize("case", _others(), ids=ids)
def test_who_is_refused_is_below_the_role_that_the_rule_names(case: Case) -> None:
    for role in ("reader", "member", "manager", "admin"):
        who = caller(role)
        code, text = status(who, case)
        assert code < 500, text
        rule = re.search(r"Policy doesn't allow (\S+) to be performed", text)
        if code == 403 and rule:
            assert who.roles.isdisjoint(RULES[rule[1]].value), rule[1]
        elif code == 403 and role == "admin":
            raise AssertionError(text)
        if role in ("member", "manager") and case.key in FOR_ADMINS:
            assert code == 403, (role, code)


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_on_a_server_is_refused_to_readers_and_on_another_s_server_not_there(name: str) -> None:
    owner = caller("member")
    reader = caller("reader", project_id=owner.project_id)
    auditor = caller("auditor", project_id=owner.project_id)
    stranger = caller("member")
    server = Instance.objects.create(
        id=uuid.uuid4(),
        number=1,
        name="s",
        project_id=owner.project_id,
        user_id=owner.user_id,
        vm_state="active",
        flavor={},
    )
    for version in (str(COMPUTE.max), str(COMPUTE.min)):
        edition_has = _action_is_there(name, version)
        for who, expected in ((reader, 403), (auditor, 403), (stranger, 404)):
            answer = Api(who, COMPUTE, version=version).post(f"/servers/{server.id}/action", {name: None})
            assert answer.status_code == (expected if edition_has else answer.status_code), answer.content
            assert answer.status_code in (400, 403, 404)


def _action_is_there(name: str, version: str) -> bool:
    from instances.api.changes import CHANGES

    return CHANGES.at(Version.parse(version)).has_route("ActionView", name)


IDENTITY_CASES = [case for case in cases() if case.service is IDENTITY]


@pytest.mark.parametrize("case", IDENTITY_CASES, ids=ids)
@pytest.mark.parametrize("role", ["auditor", "reader", "member", "manager"])
def test_identity_is_for_admins_but_for_what_is_one_s_own(case: Case, role: str) -> None:
    if case.key in IDENTITY_FOR_ALL:
        return
    code, text = status(caller(role), case)
    assert code == (404 if case.key in IDENTITY_NOT_THERE else 403), (code, text[:200])


@pytest.mark.parametrize("case", [one for one in IDENTITY_CASES if one.method not in READS], ids=ids)
def test_readers_of_the_system_and_of_a_domain_write_nothing_in_identity(case: Case) -> None:
    if case.key in IDENTITY_FOR_ALL:
        return
    for who in (
        caller("member", project_id=None, is_system=True),
        caller("member", project_id=None, scope_domain_id="default"),
    ):
        assert status(who, case)[0] == 403


@pytest.mark.parametrize("case", IDENTITY_CASES, ids=ids)
def test_an_admin_is_refused_only_what_nobody_may(case: Case) -> None:
    code, text = status(caller("admin"), case)
    assert code < 500
    assert code != 403 or case.key[0] in ("Services", "Endpoints", "Regions", "Credentials"), text
