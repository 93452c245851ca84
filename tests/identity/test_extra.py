"""Keys of users, groups, projects, domains and roles that nobody here knows: kept and answered, as Keystone does."""

from typing import Any

import pytest

from identity.models import User
from identity.services import writing
from identity.testing import Api

KINDS = ("user", "group", "project", "domain", "role")


def made(admin: Api, kind: str, **more: Any) -> dict[str, Any]:
    answer = admin.post(f"/{kind}s", {kind: {"name": "mine", **more}})
    assert answer.status_code == 201, answer.content
    return dict(answer.json()[kind])


def refused(answer: Any) -> str:
    assert answer.status_code == 400, answer.content
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_keys_are_kept_listed_and_merged(admin: Api, kind: str) -> None:
    extra = {"tenant_id": "t", "project_id": "p", "words": {"in": ["any", 1, None]}, "extra": "too"}
    thing = made(admin, kind, **extra)
    assert extra.items() <= thing.items()
    path = f"/{kind}s/{thing['id']}"
    assert admin.get(path).json()[kind] == thing
    assert thing in admin.get(f"/{kind}s?name=mine").json()[f"{kind}s"]
    changed = admin.patch(path, {kind: {"words": None, "more": True}}).json()[kind]
    assert changed == {**thing, "words": None, "more": True}
    assert admin.get(path).json()[kind] == changed
    assert admin.patch(path, {kind: {"name": "other"}}).json()[kind] == {**changed, "name": "other"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_answer_makes_is_no_extra(admin: Api, kind: str) -> None:
    thing = made(admin, kind, id="chosen", links={"self": "elsewhere"}, password_expires_at="never")
    assert thing["id"] != "chosen"
    assert thing["links"]["self"].endswith(f"/{kind}s/{thing['id']}")
    assert thing.get("password_expires_at") is None
    again = admin.patch(
        f"/{kind}s/{thing['id']}", {kind: thing}
    )  # as clients do that send back what they read
    assert (again.status_code, again.json()[kind]) == (200, thing)


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_is_not_changed(admin: Api, kind: str) -> None:
    thing = made(admin, kind)
    path = f"/{kind}s/{thing['id']}"
    assert refused(admin.patch(path, {kind: {"id": "other", "a": "b"}})) == f"Cannot change {kind} ID"
    assert admin.patch(path, {kind: {"id": thing["id"], "a": "b"}}).json()[kind]["a"] == "b"


@pytest.mark.parametrize("kind", KINDS)
def test_a_password_is_no_extra(admin: Api, kind: str) -> None:
    thing = made(admin, kind, password="hunter2 hunter2")
    answer = admin.patch(f"/{kind}s/{thing['id']}", {kind: {"password": "hunter3 hunter3", "a": "b"}})
    assert answer.status_code == 200
    assert "hunter" not in str([thing, answer.json(), admin.get(f"/{kind}s").json()])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({f"key{number}": "" for number in range(65)}, "at most 64"),
        ({"k" * 256: ""}, "at most 255"),
        ({"long": "x" * 16_384}, "at most 16384 bytes"),
    ],
)
def test_extras_have_limits(admin: Api, kind: str, extra: dict[str, str], words: str) -> None:
    assert words in refused(admin.post(f"/{kind}s", {kind: {"name": "mine", **extra}}))
    thing = made(admin, kind)
    assert words in refused(admin.patch(f"/{kind}s/{thing['id']}", {kind: {"name": "other", **extra}}))
    assert admin.get(f"/{kind}s/{thing['id']}").json()[kind] == thing


def test_limits_count_what_was_there(admin: Api) -> None:
    user = made(admin, "user", **{f"key{number}": "" for number in range(64)})
    assert "at most 64" in refused(admin.patch(f"/users/{user['id']}", {"user": {"one": "more"}}))
    assert admin.patch(f"/users/{user['id']}", {"user": {"key1": "changed"}}).status_code == 200


def test_two_writers_do_not_lose_each_other_s_extras(admin: Api) -> None:
    user_id = made(admin, "user", there=1)["id"]
    first, second = User.objects.get(pk=user_id), User.objects.get(pk=user_id)
    writing.merge_extra(first, {"first": 1})
    writing.merge_extra(second, {"second": 2})
    assert User.objects.get(pk=user_id).extra == second.extra == {"there": 1, "first": 1, "second": 2}


def test_a_log_in_stays_strict(anyone: Api) -> None:
    user = {"name": "admin", "domain": {"id": "default"}, "password": "x", "tenant_id": "t"}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
    assert "'tenant_id' was unexpected" in refused(anyone.post("/auth/tokens", {"auth": auth}))


def test_an_extra_is_no_column_of_ours(admin: Api) -> None:
    mine = {"is_staff": True, "is_superuser": True, "created_at": "long ago", "last_login": "never"}
    user_id = made(admin, "user", **mine)["id"]
    assert admin.patch(f"/users/{user_id}", {"user": mine}).status_code == 200
    user = User.objects.get(pk=user_id)
    assert (user.is_staff, user.is_superuser, user.last_login, user.extra) == (False, False, None, mine)
