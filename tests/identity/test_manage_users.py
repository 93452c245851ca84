"""/users."""

from typing import Any

import pytest

from identity.models import User
from identity.services.bootstrap import Bootstrapped
from identity.testing import Api
from tests.identity.conftest import DEMO_PASSWORD, log_in


def test_user_is_made_shown_changed_listed_and_deleted(admin: Api, there: Bootstrapped) -> None:
    body = {
        "name": "ann",
        "password": "pw",
        "email": "a@example.org",
        "default_project_id": there.demo_project_id,
    }
    made = admin.post("/users", {"user": body})
    assert made.status_code == 201
    user = made.json()["user"]
    assert user == {
        "id": user["id"],
        "name": "ann",
        "domain_id": "default",
        "enabled": True,
        "password_expires_at": None,
        "options": {},
        "email": "a@example.org",
        "default_project_id": there.demo_project_id,
        "links": {"self": f"http://testserver/identity/v3/users/{user['id']}"},
    }
    assert admin.get(f"/users/{user['id']}").json()["user"] == user
    changed = admin.patch(f"/users/{user['id']}", {"user": {"name": "anna", "email": None}}).json()["user"]
    assert changed["name"] == "anna" and "email" not in changed
    assert log_in("anna", "pw").status_code == 201
    listed = admin.get("/users?name=anna&domain_id=default&enabled=true").json()
    assert [row["id"] for row in listed["users"]] == [user["id"]]
    assert listed["links"] == {"self": "http://testserver/identity/v3/users", "previous": None, "next": None}
    assert admin.delete(f"/users/{user['id']}").status_code == 204
    assert admin.get(f"/users/{user['id']}").status_code == 404


def test_password_is_never_answered(admin: Api) -> None:
    made = admin.post("/users", {"user": {"name": "ann", "password": "a secret"}})
    user_id = made.json()["user"]["id"]
    answers = [made, admin.get(f"/users/{user_id}"), admin.get("/users"), admin.get("/users?name=ann")]
    assert not any(b"a secret" in answer.content or b"argon2" in answer.content for answer in answers)


@pytest.mark.parametrize("filters", ["name=nobody", "enabled=false", "domain_id=elsewhere"])
def test_filter_leaves_out(admin: Api, filters: str) -> None:
    assert admin.get(f"/users?{filters}").json()["users"] == []


def test_list_has_pages(admin: Api) -> None:
    first = admin.get("/users?limit=1").json()
    assert len(first["users"]) == 1
    following = admin.get(first["links"]["next"].removeprefix("http://testserver/identity/v3")).json()
    assert first["users"][0]["id"] < following["users"][0]["id"]


def test_name_is_unique_in_its_domain_only(admin: Api) -> None:
    assert admin.post("/users", {"user": {"name": "ann"}}).status_code == 201
    twice = admin.post("/users", {"user": {"name": "ann"}})
    assert twice.status_code == 409
    assert "Duplicate entry" in twice.json()["error"]["message"]
    other = admin.post("/domains", {"domain": {"name": "other"}}).json()["domain"]["id"]
    assert admin.post("/users", {"user": {"name": "ann", "domain_id": other}}).status_code == 201
    bob = admin.post("/users", {"user": {"name": "bob"}}).json()["user"]["id"]
    assert admin.patch(f"/users/{bob}", {"user": {"name": "ann"}}).status_code == 409
    assert User.objects.filter(name="ann").count() == 2


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": ""},
        {"name": " ann"},
        {"name": 5},
        {"name": "x" * 256},
        {"name": "a\nb"},
        {"name": "ann", "enabled": "perhaps"},
        {"name": "ann", "password": ""},
        {"name": "ann", "password": 5},
        {"name": "ann", "password": "x" * 1_025},
        {"name": "ann", "domain_id": "elsewhere"},
        {"name": "ann", "default_project_id": "f" * 32},
        {"name": "ann", "options": {"lock_password": True}},
    ],
)
def test_wrong_values_are_400_and_leave_nothing(admin: Api, values: dict[str, Any]) -> None:
    before = User.objects.count()
    answer = admin.post("/users", {"user": values})
    assert answer.status_code == 400
    assert answer.json()["error"]["title"] == "Bad Request"
    assert User.objects.count() == before


def test_user_stays_in_its_domain(admin: Api, there: Bootstrapped) -> None:
    assert admin.patch(f"/users/{there.demo_user_id}", {"user": {"domain_id": "other"}}).status_code == 400


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_unknown_user_is_404(admin: Api, method: str) -> None:
    body = [{"user": {}}] if method == "patch" else []
    assert getattr(admin, method)("/users/nobody", *body).status_code == 404


def test_others_see_only_themselves(demo: Api, there: Bootstrapped) -> None:
    assert demo.get(f"/users/{there.demo_user_id}").status_code == 200
    assert demo.get(f"/users/{there.admin_user_id}").status_code == 404
    assert demo.get(f"/users/{there.admin_user_id}/projects").status_code == 404
    mine = demo.get(f"/users/{there.demo_user_id}/projects").json()["projects"]
    assert [row["name"] for row in mine] == ["demo"]
    assert demo.get(f"/users/{there.demo_user_id}/groups").json()["groups"] == []


def test_only_admins_write_and_list(demo: Api, there: Bootstrapped) -> None:
    for refused in (
        demo.get("/users"),
        demo.post("/users", {"user": {"name": "x"}}),
        demo.patch(f"/users/{there.demo_user_id}", {"user": {"enabled": False}}),
        demo.patch(f"/users/{there.admin_user_id}", {"user": {"enabled": False}}),
        demo.delete(f"/users/{there.admin_user_id}"),
    ):
        assert refused.status_code == 403
        assert refused.json()["error"]["title"] == "Forbidden"


def test_own_password_needs_the_old_one(anyone: Api, there: Bootstrapped) -> None:
    path = f"/users/{there.demo_user_id}/password"
    wrong = {"user": {"original_password": "wrong", "password": "new"}}
    assert anyone.post(path, wrong).status_code == 401
    assert anyone.post("/users/nobody/password", wrong).status_code == 401
    assert anyone.post(path, {"user": {"password": "new"}}).status_code == 400
    assert log_in("demo", DEMO_PASSWORD).status_code == 201


def test_guessing_by_password_change_is_held_up_too(anyone: Api, there: Bootstrapped) -> None:
    body = {"user": {"original_password": "wrong", "password": "new"}}
    statuses = {anyone.post(f"/users/{there.demo_user_id}/password", body).status_code for _ in range(12)}
    assert statuses == {401, 429}


def test_query_count_does_not_grow_with_users(admin: Api, django_assert_num_queries: Any) -> None:
    User.objects.bulk_create(User(name=f"u{number}", password="!") for number in range(50))
    with django_assert_num_queries(1):
        assert len(admin.get("/users").json()["users"]) == 52
