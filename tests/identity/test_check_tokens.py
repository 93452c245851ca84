"""Checking, showing and revoking tokens."""

import base64
import time
from typing import Any

import jwt
import pytest
from django.test import Client

from computecloud.config import CONFIG
from computecloud.wire.services import IDENTITY
from identity import revocation, signing, tokens
from identity.models import Revocation, Role, RoleAssignment, User
from identity.services import users
from identity.services.bootstrap import Bootstrapped
from identity.testing import Api, caller, token_for
from identity.tokens import Grant, InvalidToken
from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD, log_in, project, token_of

GRANT = Grant(user_id="u", user_name="n", user_domain_id="default", roles=("member",), project_id="p")


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Revocations are rows."""


def test_token_says_what_it_was_made_of() -> None:
    read = tokens.check(tokens.issue(GRANT))
    assert (read.user_id, read.project_id, read.roles, read.is_admin) == (
        "u",
        "p",
        frozenset({"member"}),
        False,
    )


def test_check_asks_the_database_nothing_but_revocations_once_a_second(
    django_assert_num_queries: Any,
) -> None:
    token = tokens.issue(GRANT)
    with django_assert_num_queries(1):
        tokens.check(token)
        tokens.check(token)


def forged(**changes: Any) -> list[str]:
    good = tokens.issue(GRANT)
    head, payload, signature = good.split(".")
    kid, key = signing.signing_key()
    claims = jwt.decode(good, key, ["HS256"])
    other = base64.urlsafe_b64encode(b'{"sub":"admin"}').decode().rstrip("=")
    return [
        "",
        " ",
        "gAAAAABexample",
        good + "x",
        good[:-2],
        f"{head}.{other}.{signature}",
        f"{head}.{payload}.",
        jwt.encode(claims, "another key that is long enough for the algorithm", "HS256", {"kid": kid}),
        jwt.encode(claims, key, "HS256"),
        jwt.encode(claims, key, "HS256", {"kid": "unknown"}),
        jwt.encode(claims, key, "HS512", {"kid": kid}),
        jwt.encode(claims, None, "none", {"kid": kid}),
        jwt.encode({"sub": "u"}, key, "HS256", {"kid": kid}),
        "é" * 10,
        "a" * 7_000,
    ]


@pytest.mark.filterwarnings("ignore:The HMAC key is 32 bytes")
@pytest.mark.parametrize("number", range(15))
def test_forged_token_is_refused(number: int) -> None:
    token = forged()[number]
    with pytest.raises(InvalidToken):
        tokens.check(token)


@pytest.mark.filterwarnings("ignore:The HMAC key is 32 bytes")
def test_forged_token_is_401_over_http() -> None:
    for token in forged():
        if token.isascii():
            assert (
                Client().get("/identity/v3/auth/projects", headers={"X-Auth-Token": token}).status_code == 401
            )


def test_token_expires() -> None:
    with pytest.raises(InvalidToken, match="expired"):
        tokens.check(tokens.issue(GRANT, at=time.time() - CONFIG.token_lifetime_s - 1))
    with pytest.raises(InvalidToken, match="expired"):
        tokens.check(tokens.issue(GRANT, expires_at=time.time() - 1))


def test_revoked_token_is_refused_at_once() -> None:
    token, other = tokens.issue(GRANT), tokens.issue(GRANT)
    revocation.revoke_token(tokens.check(token))
    with pytest.raises(InvalidToken, match="revoked"):
        tokens.check(token)
    assert tokens.check(other)


@pytest.mark.parametrize(
    "revoke",
    [
        lambda: revocation.revoke_user("u"),
        lambda: revocation.revoke_project("p"),
        lambda: revocation.revoke_domain("default"),
        lambda: revocation.revoke_grant("u", "p"),
    ],
)
def test_older_tokens_are_void_and_newer_ones_good(revoke: Any) -> None:
    old = tokens.issue(GRANT)
    revoke()
    new = tokens.issue(GRANT)
    with pytest.raises(InvalidToken):
        tokens.check(old)
    assert tokens.check(new)


def test_revocations_of_others_do_not_matter() -> None:
    token = tokens.issue(GRANT)
    revocation.revoke_user("somebody else")
    revocation.revoke_grant("u", "another project")
    revocation.revoke_project("another project")
    assert tokens.check(token)


def test_revocation_by_another_process_is_seen_within_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.issue(GRANT)
    tokens.check(token)
    monkeypatch.setattr(revocation, "REFRESH_S", 0.05)
    revocation.revoke_user("u")
    monkeypatch.setattr(revocation._memory, "before", {})  # as if another process had done it
    time.sleep(0.06)
    with pytest.raises(InvalidToken):
        tokens.check(token)


def test_first_check_of_a_process_reads_the_rows() -> None:
    token = tokens.issue(GRANT)
    revocation.revoke_user("u")
    revocation.forget()
    with pytest.raises(InvalidToken):
        tokens.check(token)


def test_rows_that_no_token_can_outlive_are_swept() -> None:
    from datetime import UTC, datetime, timedelta

    old = datetime.now(UTC) - timedelta(days=1)
    Revocation.objects.create(key="audit:old", before=0.0, expires_at=old)
    revocation.revoke_user("u")
    assert list(Revocation.objects.values_list("key", flat=True)) == ["user:u"]


# Over HTTP


def test_own_token_is_shown_and_checked(there: Bootstrapped) -> None:
    token = token_of(log_in("demo", DEMO_PASSWORD, scope=project("demo")))
    api = Api(token, IDENTITY)
    shown = api.get("/auth/tokens", X_Subject_Token=token)
    assert shown.status_code == 200
    assert shown.headers["X-Subject-Token"] == token
    assert shown.json()["token"]["user"]["name"] == "demo"
    assert "catalog" in shown.json()["token"]
    checked = api.send("HEAD", "/auth/tokens", X_Subject_Token=token)
    assert (checked.status_code, checked.content) == (200, b"")


def test_foreign_token_is_for_admins_and_services(there: Bootstrapped, admin: Api, demo: Api) -> None:
    of_admin = admin.headers["X-Auth-Token"]
    of_demo = demo.headers["X-Auth-Token"]
    assert admin.get("/auth/tokens", X_Subject_Token=of_demo).status_code == 200
    assert demo.get("/auth/tokens", X_Subject_Token=of_admin).status_code == 403
    assert demo.delete("/auth/tokens", X_Subject_Token=of_admin).status_code == 403
    service = Api(caller("service"), IDENTITY)
    assert service.get("/auth/tokens", X_Subject_Token=of_demo).status_code == 200
    assert service.delete("/auth/tokens", X_Subject_Token=of_demo).status_code == 403


def test_invalid_subject_is_404_and_missing_is_400(demo: Api) -> None:
    assert demo.get("/auth/tokens", X_Subject_Token="nonsense").status_code == 404
    assert demo.get("/auth/tokens").status_code == 400


def test_deleted_token_is_401_then(demo: Api) -> None:
    token = demo.headers["X-Auth-Token"]
    assert demo.delete("/auth/tokens", X_Subject_Token=token).status_code == 204
    assert demo.get("/auth/projects").status_code == 401


def test_no_token_is_401(anyone: Api) -> None:
    for path in ("/auth/tokens", "/auth/projects", "/users", "/projects", "/roles", "/role_assignments"):
        assert anyone.get(path).status_code == 401


def test_password_change_voids_tokens(there: Bootstrapped, demo: Api, anyone: Api) -> None:
    body = {"user": {"original_password": DEMO_PASSWORD, "password": "new password"}}
    assert anyone.post(f"/users/{there.demo_user_id}/password", body).status_code == 204
    assert demo.get("/auth/projects").status_code == 401
    assert log_in("demo", DEMO_PASSWORD).status_code == 401
    assert Api(token_of(log_in("demo", "new password")), IDENTITY).get("/auth/projects").status_code == 200


@pytest.mark.parametrize("values", [{"enabled": False}, {"password": "another"}])
def test_admin_s_change_of_a_user_voids_tokens(
    there: Bootstrapped, admin: Api, demo: Api, values: dict[str, Any]
) -> None:
    assert admin.patch(f"/users/{there.demo_user_id}", {"user": values}).status_code == 200
    assert demo.get("/auth/projects").status_code == 401


def test_harmless_change_voids_nothing(there: Bootstrapped, admin: Api, demo: Api) -> None:
    assert (
        admin.patch(f"/users/{there.demo_user_id}", {"user": {"email": "d@example.org"}}).status_code == 200
    )
    assert demo.get("/auth/projects").status_code == 200


def test_deleting_user_or_project_or_taking_the_role_voids_tokens(there: Bootstrapped, admin: Api) -> None:
    def fresh() -> Api:
        return Api(token_of(log_in("demo", DEMO_PASSWORD, scope=project("demo"))), IDENTITY)

    member = Role.objects.get(name="member")
    path = f"/projects/{there.demo_project_id}/users/{there.demo_user_id}/roles/{member.id}"
    api = fresh()
    assert admin.delete(path).status_code == 204
    assert api.get("/auth/projects").status_code == 401
    assert admin.put(path).status_code == 204
    api = fresh()
    assert (
        admin.patch(f"/projects/{there.demo_project_id}", {"project": {"enabled": False}}).status_code == 200
    )
    assert api.get("/auth/projects").status_code == 401
    assert (
        admin.patch(f"/projects/{there.demo_project_id}", {"project": {"enabled": True}}).status_code == 200
    )
    api = fresh()
    assert admin.delete(f"/projects/{there.demo_project_id}").status_code == 204
    assert api.get("/auth/projects").status_code == 401
    unscoped = Api(token_of(log_in("demo", DEMO_PASSWORD, scope="unscoped")), IDENTITY)
    assert admin.delete(f"/users/{there.demo_user_id}").status_code == 204
    assert unscoped.get("/auth/projects").status_code == 401


def test_deleting_a_role_voids_the_tokens_that_say_it(there: Bootstrapped, admin: Api) -> None:
    role_id = admin.post("/roles", {"role": {"name": "auditor"}}).json()["role"]["id"]
    path = f"/projects/{there.demo_project_id}/users/{there.demo_user_id}/roles/{role_id}"
    admin.put(path)
    api = Api(token_of(log_in("demo", DEMO_PASSWORD, scope=project("demo"))), IDENTITY)
    assert "auditor" in str(api.get("/auth/tokens", X_Subject_Token=api.headers["X-Auth-Token"]).json())
    assert admin.delete(f"/roles/{role_id}").status_code == 204
    assert api.get("/auth/projects").status_code == 401
    assert not RoleAssignment.objects.filter(role_id=role_id).exists()


def test_log_in_that_read_the_old_password_gives_a_void_token(there: Bootstrapped) -> None:
    from identity.services import login
    from identity.services.login import Scope, Who

    proved = login.by_password(Who(id=there.demo_user_id), DEMO_PASSWORD, source="x")
    users.set_password(User.objects.get(pk=there.demo_user_id), "meanwhile changed")
    with pytest.raises(InvalidToken):
        tokens.check(login.issue(proved, Scope()))


def test_testing_callers_have_real_tokens() -> None:
    somebody = caller("manager")
    read = tokens.check(token_for(somebody))
    assert (read.user_id, read.project_id, read.roles) == (
        somebody.user_id,
        somebody.project_id,
        frozenset({"manager", "member", "reader"}),
    )


def test_password_of_admin_is_not_in_any_row(there: Bootstrapped) -> None:
    stored = User.objects.get(name="admin").password
    assert stored.startswith("argon2$argon2id$") and ADMIN_PASSWORD not in stored
