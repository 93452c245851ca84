"""Every address of an API that takes a POST does so by the layer of Idempotency-Keys: found in the URLs themselves."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from computecloud.wire.services import by_path
from identity import tokens
from identity.services import bootstrap
from workers import idempotency
from workers.idempotency import Request
from workers.models import IdempotencyKey

ID = "00000000-0000-0000-0000-000000000001"


def addresses(patterns: list[Any], before: str = "/") -> Iterator[tuple[str, type]]:
    """Give each address with its view's class, ids in place of its parameters."""
    for one in patterns:
        route = before + re.sub(r"<int:\w+>", "1", str(one.pattern))
        route = re.sub(
            r"\(\?P<\w+>([^|)]+)[^)]*\)", r"\1", route.replace("[^/]+", ID).strip("$").replace("^", "")
        )
        route = re.sub(r"<[^>]+>", ID, route)
        if isinstance(one, URLResolver):
            yield from addresses(one.url_patterns, route)
        elif isinstance(one, URLPattern) and (view := getattr(one.callback, "view_class", None)):
            yield route, view


POSTS = sorted(
    (path, view)
    for path, view in addresses(get_resolver().url_patterns)
    if by_path(path) is not None and hasattr(view, "post")
)


@pytest.fixture
def token(db: None) -> str:
    made = bootstrap(admin_password="a long enough password", demo_password="another one")
    user = {"name": "admin", "domain": {"id": "default"}, "password": "a long enough password"}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"id": made.admin_project_id}},
    }
    answer = Client().post("/identity/v3/auth/tokens", {"auth": auth}, "application/json")
    return str(answer["X-Subject-Token"])


def test_every_address_that_takes_a_post_refuses_the_key_of_another_request(token: str):
    asked = Request(caller=tokens.check(token), key="k", fingerprint="of another", request_id="req-first")
    idempotency.take(asked)
    client = Client(headers={"X-Auth-Token": token, "Idempotency-Key": "k"})
    for path, view in POSTS:
        assert getattr(resolve(path).func, "view_class", None) is view, path
        answer = client.post(path, {}, "application/json")
        assert answer.status_code == 409, (path, answer.content)
        assert b"req-first" in answer.content, path
    assert IdempotencyKey.objects.count() == 1


def test_every_api_with_addresses_that_take_a_post_is_among_them():
    found = {service.name for path, _ in POSTS if (service := by_path(path)) is not None}
    assert found == {"nova", "keystone", "glance", "neutron", "operations"}
    assert len(POSTS) > 20


def test_no_view_of_an_api_takes_a_post_but_by_its_post(token: str):
    """A class's `post` is what is looked for above: whoever routes POSTs otherwise would be missed."""
    known = {path for path, _ in POSTS}
    client = Client(headers={"X-Auth-Token": token})
    for path, _view in addresses(get_resolver().url_patterns):
        in_project = path.split("/")[3:4] == [ID]  # the same views, behind a project that is not the token's
        if by_path(path) is not None and path not in known and not in_project:
            answer = client.post(path, {}, "application/json")
            assert answer.status_code in (404, 405), (path, answer.status_code)
