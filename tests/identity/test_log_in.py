"""POST /auth/tokens."""

from typing import Any

import pytest

from computecloud.config import CONFIG
from identity.models import LoginFailure, Project, RoleAssignment, User
from identity.services import users
from identity.services.bootstrap import Bootstrapped
from identity.testing import Api
from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD, log_in, project, token_of
from tests.identity.hashers import CountingHasher


def test_password_gives_a_project_token_with_catalog(there: Bootstrapped) -> None:
    answer = log_in("demo", DEMO_PASSWORD, scope=project("demo"))
    token = answer.json()["token"]
    assert answer.headers["X-Subject-Token"]
    assert token["methods"] == ["password"]
    assert token["user"] == {
        "id": there.demo_user_id,
        "name": "demo",
        "domain": {"id": "default", "name": "Default"},
        "password_expires_at": None,
    }
    assert token["project"]["id"] == there.demo_project_id
    assert token["project"]["domain"] == {"id": "default", "name": "Default"}
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert all(len(role["id"]) == 32 for role in token["roles"])
    assert {entry["type"] for entry in token["catalog"]} == {
        "identity", "compute", "image", "network"
    }  # fmt: skip
    compute = next(entry for entry in token["catalog"] if entry["type"] == "compute")
    assert {end["interface"] for end in compute["endpoints"]} == {"public", "internal", "admin"}
    assert {end["url"] for end in compute["endpoints"]} == {"http://testserver/compute/v2.1"}
    assert {end["region_id"] for end in compute["endpoints"]} == {"RegionOne"}
    assert token["expires_at"].endswith("Z") and token["issued_at"] < token["expires_at"]
    assert len(token["audit_ids"]) == 1


def test_admin_role_implies_the_others(there: Bootstrapped) -> None:
    token = log_in("admin", ADMIN_PASSWORD, scope=project("admin")).json()["token"]
    assert {role["name"] for role in token["roles"]} == {"admin", "manager", "member", "reader"}


def test_catalog_can_be_left_out(there: Bootstrapped, anyone: Api) -> None:
    user = {"name": "demo", "domain": {"id": "default"}, "password": DEMO_PASSWORD}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": project("demo")}
    assert "catalog" not in anyone.post("/auth/tokens?nocatalog", {"auth": auth}).json()["token"]


@pytest.mark.parametrize("by", ["id", "name and domain name"])
def test_user_and_project_may_be_given_by(there: Bootstrapped, anyone: Api, by: str) -> None:
    domain = {"domain": {"name": "Default"}}
    user: Any = {"id": there.demo_user_id} if by == "id" else {"name": "demo", **domain}
    scope: Any = {"id": there.demo_project_id} if by == "id" else {"name": "demo", **domain}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": {**user, "password": DEMO_PASSWORD}}},
        "scope": {"project": scope},
    }
    assert anyone.post("/auth/tokens", {"auth": auth}).json()["token"]["project"]["name"] == "demo"


def test_without_scope_the_default_project_is_taken(there: Bootstrapped) -> None:
    assert log_in("demo", DEMO_PASSWORD).json()["token"]["project"]["id"] == there.demo_project_id


@pytest.mark.parametrize("why", ["no role left", "disabled", "gone"])
def test_without_scope_an_unusable_default_project_gives_an_unscoped_token(
    there: Bootstrapped, why: str
) -> None:
    if why == "no role left":
        RoleAssignment.objects.filter(user_id=there.demo_user_id).delete()
    elif why == "disabled":
        Project.objects.filter(pk=there.demo_project_id).update(enabled=False)
    else:
        User.objects.filter(pk=there.demo_user_id).update(default_project_id="f" * 32)
    token = log_in("demo", DEMO_PASSWORD).json()["token"]
    assert "project" not in token and "roles" not in token and "catalog" not in token


@pytest.mark.parametrize("scope", ["unscoped", {"unscoped": {}}])
def test_unscoped_can_be_asked_for(there: Bootstrapped, scope: Any) -> None:
    assert "project" not in log_in("demo", DEMO_PASSWORD, scope=scope).json()["token"]


@pytest.mark.parametrize("domain", [{"id": "default"}, {"name": "Default"}])
def test_domain_scope(there: Bootstrapped, domain: dict[str, str]) -> None:
    token = log_in("admin", ADMIN_PASSWORD, scope={"domain": domain}).json()["token"]
    assert token["domain"] == {"id": "default", "name": "Default"}
    assert "project" not in token


def refused(answer: Any) -> str:
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")
    assert answer.json()["error"]["title"] == "Unauthorized"
    return str(answer.json()["error"]["message"])


def test_wrong_password_unknown_user_and_disabled_user_read_the_same(there: Bootstrapped) -> None:
    messages = {
        refused(log_in("demo", "wrong")),
        refused(log_in("nobody", "wrong")),
        refused(log_in("demo", DEMO_PASSWORD, domain="elsewhere")),
    }
    User.objects.filter(name="demo").update(enabled=False)
    messages.add(refused(log_in("demo", DEMO_PASSWORD)))
    assert len(messages) == 1


@pytest.mark.parametrize("name", ["demo", "nobody", "silent", "disabled"])
def test_every_refusal_works_as_long_on_the_password(there: Bootstrapped, settings: Any, name: str) -> None:
    settings.PASSWORD_HASHERS = ["tests.identity.hashers.CountingHasher"]
    users.create({"name": "silent"})
    users.create({"name": "disabled", "password": "pw", "enabled": False})
    before = CountingHasher.calls
    refused(log_in(name, "wrong"))
    assert CountingHasher.calls - before == 1


def test_user_without_a_password_cannot_log_in(admin: Api) -> None:
    assert admin.post("/users", {"user": {"name": "silent"}}).status_code == 201
    for password in ("!", " ", "None"):
        refused(log_in("silent", password))


@pytest.mark.parametrize(
    "scope",
    [
        project("admin"),
        project("no such project"),
        {"project": {"id": "f" * 32}},
        {"domain": {"id": "default"}},
        {"domain": {"id": "elsewhere"}},
        {"domain": {"name": "no such domain"}},
        {"system": {"all": True}},
    ],
)
def test_scope_without_a_role_is_401(there: Bootstrapped, scope: Any) -> None:
    refused(log_in("demo", DEMO_PASSWORD, scope=scope))


def test_disabled_project_is_401_when_asked_for(there: Bootstrapped) -> None:
    Project.objects.filter(name="demo").update(enabled=False)
    refused(log_in("demo", DEMO_PASSWORD, scope=project("demo")))


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"identity": {}},
        {"identity": {"methods": []}},
        {"identity": {"methods": "password"}},
        {"identity": {"methods": ["password"]}},
        {"identity": {"methods": ["token"]}},
        {"identity": {"methods": ["token"], "token": {"id": ""}}},
        {"identity": {"methods": ["token"], "token": {"id": "x" * 10_000}}},
        {"identity": {"methods": ["password"], "password": {"user": {}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"id": "x"}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"name": "x", "password": "x"}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"id": "x", "password": 5}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"id": "x", "password": "y" * 2_000}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"id": "x y", "password": "y"}}}},
        {"identity": {"methods": ["password"], "password": {"user": {"id": "x", "password": "y", "z": 1}}}},
    ],
)
def test_malformed_body_is_400(anyone: Api, auth: Any) -> None:
    answer = anyone.post("/auth/tokens", {"auth": auth})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400


@pytest.mark.parametrize(
    "scope",
    [
        {},
        [],
        5,
        "all",
        {"project": {}},
        {"project": {"name": "demo"}},
        {"domain": {}},
        {"project": {"id": "a"}, "domain": {"id": "b"}},
        {"unscoped": {"a": 1}},
    ],
)
def test_malformed_scope_is_400(anyone: Api, scope: Any) -> None:
    user = {"id": "x", "password": "y"}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
    assert anyone.post("/auth/tokens", {"auth": auth}).status_code == 400


@pytest.mark.parametrize("methods", [["saml2"], ["password", "token"], ["totp"]])
def test_other_methods_are_401(db: None, anyone: Api, methods: list[str]) -> None:
    refused(anyone.post("/auth/tokens", {"auth": {"identity": {"methods": methods}}}))


def test_failures_are_401_and_then_429_with_a_time(there: Bootstrapped) -> None:
    for _ in range(CONFIG.login_failures_max):
        refused(log_in("demo", "wrong"))
    held = log_in("demo", DEMO_PASSWORD)
    assert held.status_code == 429
    assert 0 < int(held.headers["Retry-After"]) <= CONFIG.login_window_s
    assert held.json()["error"]["code"] == 429


def test_unknown_account_is_held_up_like_a_known_one(there: Bootstrapped) -> None:
    statuses = [log_in("nobody", "wrong").status_code for _ in range(CONFIG.login_failures_max + 1)]
    assert statuses == [401] * CONFIG.login_failures_max + [429]


def test_account_is_the_same_by_whatever_name(there: Bootstrapped, anyone: Api) -> None:
    for _ in range(CONFIG.login_failures_max):
        log_in("demo", "wrong", source="127.0.0.1")
    user = {"id": there.demo_user_id, "password": DEMO_PASSWORD}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
    assert anyone.post("/auth/tokens", {"auth": auth}).status_code == 429


def test_other_sources_and_accounts_are_not_held_up(there: Bootstrapped) -> None:
    for _ in range(CONFIG.login_failures_max):
        log_in("demo", "wrong")
    assert log_in("demo", DEMO_PASSWORD, source="198.51.100.7").status_code == 201
    assert log_in("admin", ADMIN_PASSWORD).status_code == 201


def test_success_clears_the_failures(there: Bootstrapped) -> None:
    for _ in range(CONFIG.login_failures_max - 1):
        log_in("demo", "wrong")
    token_of(log_in("demo", DEMO_PASSWORD))
    assert LoginFailure.objects.count() == 0


def test_old_failures_do_not_count_and_are_swept(there: Bootstrapped) -> None:
    from datetime import timedelta

    from django.db.models import F

    for _ in range(CONFIG.login_failures_max):
        log_in("demo", "wrong")
    LoginFailure.objects.update(began_at=F("began_at") - timedelta(seconds=CONFIG.login_window_s + 1))
    refused(log_in("nobody", "wrong"))
    assert LoginFailure.objects.count() == 1
    assert log_in("demo", DEMO_PASSWORD).status_code == 201


def test_failures_hold_no_names(there: Bootstrapped) -> None:
    log_in("secretname", "wrong")
    [row] = LoginFailure.objects.all()
    assert "secretname" not in row.key and len(row.key) == 64


def test_token_gives_a_token_of_another_scope_that_ends_no_later(there: Bootstrapped, anyone: Api) -> None:
    first = log_in("admin", ADMIN_PASSWORD, scope=project("admin"))
    auth = {
        "identity": {"methods": ["token"], "token": {"id": token_of(first)}},
        "scope": project("demo"),
    }
    second = anyone.post("/auth/tokens", {"auth": auth}).json()["token"]
    assert second["project"]["name"] == "demo"
    assert second["methods"] == ["token", "password"]
    assert second["expires_at"] <= first.json()["token"]["expires_at"]
    assert second["audit_ids"][1] == first.json()["token"]["audit_ids"][0]


def test_token_of_a_disabled_user_gives_none(there: Bootstrapped, anyone: Api) -> None:
    token = token_of(log_in("demo", DEMO_PASSWORD))
    User.objects.filter(name="demo").update(enabled=False)
    auth = {"identity": {"methods": ["token"], "token": {"id": token}}}
    refused(anyone.post("/auth/tokens", {"auth": auth}))


def test_log_in_costs_few_queries(there: Bootstrapped, django_assert_max_num_queries: Any) -> None:
    log_in("demo", DEMO_PASSWORD)
    with django_assert_max_num_queries(9):
        log_in("demo", DEMO_PASSWORD, scope=project("demo"))
