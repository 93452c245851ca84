"""Application credentials: made, listed, used, refused, deleted; their secrets are told once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from django.test import Client

from computecloud.config import CONFIG
from computecloud.wire import middleware
from computecloud.wire.services import COMPUTE, IDENTITY
from identity.models import AccessRule, ApplicationCredential, Project, Role, RoleAssignment, User
from identity.services import credentials, login, users
from identity.services.bootstrap import Bootstrapped
from identity.testing import Api
from tests.identity.conftest import token_of
from tests.identity.hashers import CountingHasher


@pytest.fixture
def path(there: Bootstrapped) -> str:
    """Where the demo user's credentials are."""
    return f"/users/{there.demo_user_id}/application_credentials"


def made(api: Api, path: str, name: str = "robot", **values: Any) -> dict[str, Any]:
    """Return a new credential as it was answered."""
    answer = api.post(path, {"application_credential": {"name": name, **values}})
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()["application_credential"]
    return found


def log_in(credential: dict[str, Any], secret: str | None = None, **extra: Any) -> Any:
    """Return the answer to a log-in by a credential's id."""
    given = {"id": credential["id"], "secret": secret or credential["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": given}
    client = Client(REMOTE_ADDR="192.0.2.1")
    return client.post(
        "/identity/v3/auth/tokens", {"auth": {"identity": identity, **extra}}, "application/json"
    )


def test_credential_is_made_with_a_secret_that_is_told_once(
    demo: Api, path: str, there: Bootstrapped
) -> None:
    one = made(demo, path, description="for the robot")
    assert len(one["secret"]) >= 64
    assert one["secret"].isalnum()  # a word for a command line, and no option there
    assert (one["project_id"], one["unrestricted"], one["expires_at"]) == (there.demo_project_id, False, None)
    assert {role["name"] for role in one["roles"]} == {"member", "reader"}
    shown = demo.get(f"{path}/{one['id']}").json()["application_credential"]
    assert shown == {key: value for key, value in one.items() if key != "secret"}
    assert demo.get(path).json()["application_credentials"] == [shown]
    assert demo.get(f"{path}?name=other").json()["application_credentials"] == []
    row = ApplicationCredential.objects.get()
    assert one["secret"] not in row.secret


def test_log_in_gives_a_token_for_the_project_that_says_the_credential(demo: Api, path: str) -> None:
    one = made(demo, path)
    answer = log_in(one)
    token = answer.json()["token"]
    assert token["methods"] == ["application_credential"]
    assert token["application_credential"] == {"id": one["id"], "name": "robot", "restricted": True}
    assert (token["user"]["name"], token["project"]["name"]) == ("demo", "demo")
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    api = Api(token_of(answer), IDENTITY)
    assert api.get("/auth/projects").status_code == 200
    shown = api.get("/auth/tokens", X_Subject_Token=token_of(answer)).json()["token"]
    assert shown["application_credential"]["name"] == "robot"


def test_credential_may_be_named_by_its_user(demo: Api, path: str, there: Bootstrapped, anyone: Api) -> None:
    one = made(demo, path)
    for user in ({"id": there.demo_user_id}, {"name": "demo", "domain": {"name": "Default"}}):
        given = {"name": "robot", "user": user, "secret": one["secret"]}
        identity = {"methods": ["application_credential"], "application_credential": given}
        assert anyone.post("/auth/tokens", {"auth": {"identity": identity}}).status_code == 201
    given = {"name": "robot", "user": {"id": there.admin_user_id}, "secret": one["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": given}
    assert anyone.post("/auth/tokens", {"auth": {"identity": identity}}).status_code == 401


def test_empty_lists_mean_all_roles_and_every_request_as_clients_send_them(demo: Api, path: str) -> None:
    one = made(demo, path, roles=[], access_rules=[], secret=None, description=None, expires_at=None)
    assert {role["name"] for role in one["roles"]} == {"member", "reader"}
    assert Api(token_of(log_in(one)), COMPUTE).get("/servers").status_code == 200


def test_own_secret_and_fewer_roles(demo: Api, path: str) -> None:
    one = made(demo, path, secret="my own secret", roles=[{"name": "reader"}])
    assert one["secret"] == "my own secret"
    assert {role["name"] for role in log_in(one).json()["token"]["roles"]} == {"reader"}


def test_reader_s_credential_of_a_member_may_not_write(demo: Api, path: str) -> None:
    token = token_of(log_in(made(demo, path, roles=[{"name": "reader"}])))
    compute = Api(token, COMPUTE)
    assert compute.get("/servers").status_code == 200
    assert compute.post("/servers", {"server": {"name": "x"}}).status_code == 403


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": "x" * 256},
        {"name": "a", "roles": [{}]},
        {"name": "a", "roles": [{"name": "admin"}]},
        {"name": "a", "roles": [{"id": "f" * 32}]},
        {"name": "a", "expires_at": "yesterday"},
        {"name": "a", "expires_at": "2001-01-01T00:00:00"},
        {"name": "a", "secret": ""},
        {"name": "a", "project_id": "f" * 32},
        {"name": "a", "unrestricted": "perhaps"},
        {"name": "a", "access_rules": [{"service": "compute", "method": "GET"}]},
        {"name": "a", "access_rules": [{"service": "compute", "method": "EAT", "path": "/v2.1/servers"}]},
        {"name": "a", "access_rules": [{"service": "compute", "method": "GET", "path": "servers"}]},
        {"name": "a", "access_rules": [{"service": "compute", "method": "GET", "path": "/v2.1/ser*"}]},
        {"name": "a", "x": 1},
    ],
)
def test_wrong_credential_is_400_and_leaves_nothing(demo: Api, path: str, values: dict[str, Any]) -> None:
    answer = demo.post(path, {"application_credential": values})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400
    assert not ApplicationCredential.objects.exists() and not AccessRule.objects.exists()


def test_name_is_taken_once_a_user(demo: Api, admin: Api, path: str, there: Bootstrapped) -> None:
    made(demo, path)
    assert demo.post(path, {"application_credential": {"name": "robot"}}).status_code == 409
    made(admin, f"/users/{there.admin_user_id}/application_credentials")


def test_nobody_makes_one_for_another_user(demo: Api, admin: Api, path: str, there: Bootstrapped) -> None:
    body = {"application_credential": {"name": "x"}}
    others = f"/users/{there.admin_user_id}/application_credentials"
    assert demo.post(others, body).status_code == 403
    assert admin.post(path, body).status_code == 403
    assert demo.get(others).status_code == 403
    one = made(admin, others)
    assert demo.get(f"{others}/{one['id']}").status_code == 403
    assert demo.delete(f"{others}/{one['id']}").status_code == 403
    assert demo.get(f"{path}/{one['id']}").status_code == 404
    assert demo.delete(f"{path}/{one['id']}").status_code == 404
    assert demo.get(f"/users/{there.admin_user_id}/access_rules").status_code == 403
    assert ApplicationCredential.objects.count() == 1


def test_admin_sees_and_deletes_another_s(demo: Api, admin: Api, path: str) -> None:
    one = made(demo, path)
    assert admin.get(f"{path}/{one['id']}").json()["application_credential"]["name"] == "robot"
    assert admin.delete(f"{path}/{one['id']}").status_code == 204
    assert log_in(one).status_code == 401


def test_token_without_a_project_makes_none(there: Bootstrapped, path: str) -> None:
    from tests.identity import conftest

    unscoped = Api(token_of(conftest.log_in("demo", conftest.DEMO_PASSWORD, scope="unscoped")), IDENTITY)
    assert unscoped.post(path, {"application_credential": {"name": "x"}}).status_code == 403


def test_restricted_one_makes_and_deletes_none_and_an_unrestricted_one_does(demo: Api, path: str) -> None:
    restricted = made(demo, path)
    api = Api(token_of(log_in(restricted)), IDENTITY)
    assert api.get(path).status_code == 200
    assert api.post(path, {"application_credential": {"name": "y"}}).status_code == 403
    assert api.delete(f"{path}/{restricted['id']}").status_code == 403
    free = Api(token_of(log_in(made(demo, path, "free", unrestricted=True))), IDENTITY)
    other = made(free, path, "child")
    assert free.delete(f"{path}/{other['id']}").status_code == 204


def test_deleting_voids_its_tokens_and_no_others(demo: Api, path: str) -> None:
    one, two = made(demo, path), made(demo, path, "two")
    first, second = Api(token_of(log_in(one)), IDENTITY), Api(token_of(log_in(two)), IDENTITY)
    assert demo.delete(f"{path}/{one['id']}").status_code == 204
    assert first.get("/auth/projects").status_code == 401
    assert second.get("/auth/projects").status_code == 200
    assert demo.get("/auth/projects").status_code == 200
    assert log_in(one).status_code == 401


def refused(answer: Any) -> str:
    assert answer.status_code == 401, answer.content
    return str(answer.json()["error"]["message"])


def test_whatever_is_wrong_reads_the_same(demo: Api, path: str, there: Bootstrapped) -> None:
    one = made(demo, path)
    messages = {refused(log_in(one, "wrong")), refused(log_in({"id": "f" * 32, "secret": "x"}))}
    rows = ApplicationCredential.objects
    rows.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    messages.add(refused(log_in(one)))
    rows.update(expires_at=None)
    User.objects.filter(name="demo").update(enabled=False)
    messages.add(refused(log_in(one)))
    User.objects.filter(name="demo").update(enabled=True)
    Project.objects.filter(name="demo").update(enabled=False)
    messages.add(refused(log_in(one)))
    Project.objects.filter(name="demo").update(enabled=True)
    assert log_in(one).status_code == 201
    RoleAssignment.objects.filter(user=there.demo_user_id).delete()
    messages.add(refused(log_in(one)))
    assert len(messages) == 1


@pytest.mark.parametrize("which", ["unknown", "wrong", "expired"])
def test_every_refusal_works_as_long_on_the_secret(demo: Api, path: str, settings: Any, which: str) -> None:
    settings.PASSWORD_HASHERS = ["tests.identity.hashers.CountingHasher"]
    one = made(demo, path)
    if which == "expired":
        ApplicationCredential.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    before = CountingHasher.calls
    refused(log_in({"id": "none", "secret": "x"} if which == "unknown" else one, "wrong"))
    assert CountingHasher.calls - before == 1


def test_failures_are_401_and_then_429_for_this_credential_alone(demo: Api, path: str) -> None:
    one, two = made(demo, path), made(demo, path, "two")
    for _ in range(CONFIG.login_failures_max):
        refused(log_in(one, "wrong"))
    held = log_in(one)
    assert held.status_code == 429 and 0 < int(held.headers["Retry-After"]) <= CONFIG.login_window_s
    assert log_in(two).status_code == 201


def test_unknown_credential_is_held_up_like_a_known_one(there: Bootstrapped) -> None:
    unknown = {"id": "f" * 32, "secret": "x"}
    statuses = [log_in(unknown).status_code for _ in range(CONFIG.login_failures_max + 1)]
    assert statuses == [401] * CONFIG.login_failures_max + [429]


def test_scope_comes_from_the_credential_alone(demo: Api, path: str, there: Bootstrapped) -> None:
    one = made(demo, path)
    refused(log_in(one, scope={"project": {"id": there.demo_project_id}}))
    refused(log_in(one, scope="unscoped"))


def test_its_token_gives_no_token_for_more(demo: Api, path: str, there: Bootstrapped, anyone: Api) -> None:
    RoleAssignment.objects.create(
        user_id=there.demo_user_id, role=Role.objects.get(name="admin"), project_id=there.admin_project_id
    )
    token = token_of(log_in(made(demo, path, roles=[{"name": "reader"}])))
    identity = {"methods": ["token"], "token": {"id": token}}
    for scope in ("unscoped", {"project": {"id": there.admin_project_id}}, {"domain": {"id": "default"}}):
        assert (
            anyone.post("/auth/tokens", {"auth": {"identity": identity, "scope": scope}}).status_code == 403
        )
    same = {"project": {"id": there.demo_project_id}}
    for auth in ({"identity": identity}, {"identity": identity, "scope": same}):
        given = anyone.post("/auth/tokens", {"auth": auth}).json()["token"]
        assert {role["name"] for role in given["roles"]} == {"reader"}
        assert given["application_credential"]["restricted"] is True
    ApplicationCredential.objects.all().delete()
    refused(anyone.post("/auth/tokens", {"auth": {"identity": identity}}))


def test_token_ends_no_later_than_the_credential(demo: Api, path: str) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    one = made(demo, path, expires_at=end.strftime("%Y-%m-%dT%H:%M:%S"))
    assert one["expires_at"] == end.strftime("%Y-%m-%dT%H:%M:%S.000000")  # without a zone, as Keystone's
    assert log_in(one).json()["token"]["expires_at"] <= end.strftime("%Y-%m-%dT%H:%M:%S.999999Z")


def test_role_that_the_user_lost_is_not_in_the_token(demo: Api, path: str, there: Bootstrapped) -> None:
    one = made(demo, path)
    RoleAssignment.objects.filter(user=there.demo_user_id).update(role=Role.objects.get(name="reader"))
    assert {role["name"] for role in log_in(one).json()["token"]["roles"]} == {"reader"}


def test_changed_password_leaves_credentials_and_a_deleted_user_does_not(demo: Api, path: str) -> None:
    one = made(demo, path)
    user = User.objects.get(name="demo")
    users.set_password(user, "new password")
    assert log_in(one).status_code == 201
    users.delete(user)
    assert log_in(one).status_code == 401
    assert not ApplicationCredential.objects.exists()


RULES = [
    {"service": "compute", "method": "GET", "path": "/v2.1/servers"},
    {"service": "compute", "method": "GET", "path": "/v2.1/servers/{server_id}/ips"},
    {"service": "compute", "method": "GET", "path": "/v2.1/flavors/*"},
    {"service": "identity", "method": "GET", "path": "/v3/users/**"},
]


@pytest.mark.parametrize(
    ("service", "method", "asked", "allowed"),
    [
        (COMPUTE, "GET", "/servers", True),
        (COMPUTE, "POST", "/servers", False),
        (COMPUTE, "GET", "/servers/detail", False),
        (COMPUTE, "GET", "/servers/6f70656e-7374-4163-8b20-000000000000/ips", True),
        (COMPUTE, "GET", "/servers/6f70656e-7374-4163-8b20-000000000000/ips/net", False),
        (COMPUTE, "GET", "/flavors/1", True),
        (COMPUTE, "GET", "/flavors/1/os-extra_specs", False),
        (COMPUTE, "GET", "/flavors", False),
        (IDENTITY, "GET", "/users/a/projects", True),
        (IDENTITY, "GET", "/auth/projects", False),
    ],
)
def test_access_rules_are_all_that_a_token_is_good_for(
    demo: Api, path: str, service: Any, method: str, asked: str, allowed: bool
) -> None:
    answer = log_in(made(demo, path, access_rules=RULES))
    rules = answer.json()["token"]["application_credential"]["access_rules"]
    assert sorted(rule["path"] for rule in rules) == sorted(rule["path"] for rule in RULES)
    status = Api(token_of(answer), service).send(method, asked).status_code
    assert status in ((200, 404) if allowed else (401,))


def test_access_rules_are_kept_listed_and_deleted_when_unused(
    demo: Api, path: str, there: Bootstrapped
) -> None:
    one = made(demo, path, access_rules=RULES[:2])
    made(demo, path, "two", access_rules=RULES[:1])
    rules = f"/users/{there.demo_user_id}/access_rules"
    listed = demo.get(rules).json()["access_rules"]
    assert {rule["path"] for rule in listed} == {"/v2.1/servers", "/v2.1/servers/{server_id}/ips"}
    assert {rule["id"] for rule in one["access_rules"]} == {rule["id"] for rule in listed}
    [first] = [rule for rule in listed if rule["path"] == "/v2.1/servers/{server_id}/ips"]
    assert demo.get(f"{rules}/{first['id']}").json()["access_rule"] == first
    assert demo.delete(f"{rules}/{first['id']}").status_code == 403
    assert demo.delete(f"{path}/{one['id']}").status_code == 204
    assert demo.delete(f"{rules}/{first['id']}").status_code == 204
    assert demo.get(f"{rules}/{first['id']}").status_code == 404
    assert log_in(one).status_code == 401


def test_secrets_are_in_no_log(
    demo: Api, path: str, anyone: Api, there: Bootstrapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, Any]] = []

    def keep(_logger: Any, _name: str, line: Any) -> Any:
        lines.append(dict(line))
        raise structlog.DropEvent

    every_level = structlog.make_filtering_bound_logger(0)
    logger = structlog.wrap_logger(structlog.ReturnLogger(), [keep], every_level)
    for module in (login, credentials, middleware):
        monkeypatch.setattr(module, "log", logger)
    one = made(demo, path, secret="very secret words")
    log_in(one)
    log_in(one, "wrong secret words")
    body = {"user": {"original_password": "wrong old words", "password": "new words"}}
    anyone.post(f"/users/{there.demo_user_id}/password", body)
    events = [line["event"] for line in lines]
    assert (events.count("login.refused"), events.count("request.answered")) == (2, 4)
    assert "words" not in str(lines)


def test_secret_is_not_kept_with_an_idempotency_key(demo: Api, path: str) -> None:
    body = {"application_credential": {"name": "once"}}
    first = demo.post(path, body, Idempotency_Key="k1")
    assert first.status_code == 201
    again = demo.post(path, body, Idempotency_Key="k1")
    assert again.status_code == 409 and first.json()["application_credential"]["secret"] not in str(
        again.content
    )


def test_credentials_cost_as_many_queries_with_many(
    demo: Api, path: str, django_assert_num_queries: Any
) -> None:
    roles = list(Role.objects.all())
    user, project = User.objects.get(name="demo"), Project.objects.get(name="demo")
    for number in range(60):
        row = ApplicationCredential.objects.create(user=user, project=project, name=f"c{number}", secret="!")
        row.roles.set(roles)
        if number in (2, 59):
            with django_assert_num_queries(4):
                assert len(demo.get(path).json()["application_credentials"]) == number + 1
