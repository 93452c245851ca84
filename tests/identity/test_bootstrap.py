"""The first users and projects, the hasher, the admin pages."""

from typing import Any

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.db import IntegrityError, transaction
from django.test import Client

from identity.hashers import Argon2idHasher
from identity.models import Domain, Project, Role, RoleAssignment, User
from identity.services import bootstrap, login
from identity.services.bootstrap import Bootstrapped
from identity.services.login import Scope, Who
from identity.testing import Api
from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD, log_in


def test_bootstrap_again_changes_nothing(there: Bootstrapped) -> None:
    counts = [model.objects.count() for model in (Domain, Project, Role, User, RoleAssignment)]
    again = bootstrap(admin_password="other", demo_password="other")
    assert again.changed is False
    assert again.admin_user_id == there.admin_user_id
    assert [model.objects.count() for model in (Domain, Project, Role, User, RoleAssignment)] == counts
    assert log_in("admin", ADMIN_PASSWORD).status_code == 201


def test_bootstrap_mends_what_is_missing(there: Bootstrapped) -> None:
    RoleAssignment.objects.all().delete()
    assert bootstrap(admin_password="x", demo_password="x").changed is True
    assert RoleAssignment.objects.count() == 5


def test_users_of_the_demo_project_are_no_staff(there: Bootstrapped) -> None:
    demo, admin = User.objects.get(name="demo"), User.objects.get(name="admin")
    assert (demo.is_staff, demo.is_superuser) == (False, False)
    assert (admin.is_staff, admin.is_superuser) == (True, True)


@pytest.mark.parametrize("both", [True, False])
def test_assignment_is_in_a_project_or_a_domain(there: Bootstrapped, both: bool) -> None:
    project = Project.objects.get(name="demo") if both else None
    domain = Domain.objects.get() if both else None
    values = {"user": User.objects.get(name="demo"), "role": Role.objects.get(name="service")}
    with pytest.raises(IntegrityError), transaction.atomic():
        RoleAssignment.objects.create(**values, project=project, domain=domain)


def test_password_costs_16_mib_and_is_argon2id() -> None:
    text = Argon2idHasher().encode("x", "some salt of enough length")
    assert text.startswith("argon2$argon2id$v=19$m=16384,")


def test_password_hashed_at_another_cost_is_hashed_anew_at_log_in(there: Bootstrapped, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["identity.hashers.Argon2idHasher"]
    login.by_password(Who(id=there.demo_user_id), DEMO_PASSWORD, source="x")
    assert "m=16384" in User.objects.get(name="demo").password
    assert check_password(DEMO_PASSWORD, User.objects.get(name="demo").password)
    assert make_password("x").startswith("argon2$")


def test_superuser_can_be_made_by_command(db: None) -> None:
    Domain.objects.create(id="default", name="Default")
    user = User.objects.create_superuser(name="root", password="pw")
    assert user.is_staff and user.check_password("pw")
    assert User.objects.get_by_natural_key("root") == user


# Admin pages


def page_client(name: str, password: str) -> Client:
    client = Client()
    client.post("/admin/login/", {"username": name, "password": password})
    return client


@pytest.fixture
def pages(there: Bootstrapped) -> Client:
    """The admin's browser."""
    return page_client("admin", ADMIN_PASSWORD)


def test_admin_logs_in_to_the_pages(pages: Client) -> None:
    answer = pages.get("/admin/")
    assert answer.status_code == 200
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_others_do_not_get_in(there: Bootstrapped) -> None:
    for name, password in (("demo", DEMO_PASSWORD), ("admin", "wrong"), ("nobody", "x")):
        assert page_client(name, password).get("/admin/").status_code == 302


def test_page_log_in_is_held_up_like_any_other(there: Bootstrapped) -> None:
    client = Client()
    for _ in range(11):
        client.post("/admin/login/", {"username": "admin", "password": "wrong"})
    client.post("/admin/login/", {"username": "admin", "password": ADMIN_PASSWORD})
    assert client.get("/admin/").status_code == 302


def test_pages_demand_csrf_tokens_and_the_api_does_not(there: Bootstrapped) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/admin/login/", {"username": "admin", "password": ADMIN_PASSWORD})
    assert answer.status_code == 403
    assert client.post("/identity/v3/auth/tokens", {}, "application/json").status_code == 400


def test_api_requests_have_no_session(admin: Api) -> None:
    assert "Set-Cookie" not in admin.get("/users").headers


@pytest.mark.parametrize(
    "model", ["user", "project", "domain", "role", "roleassignment", "revocation", "loginfailure"]
)
def test_every_list_opens(pages: Client, model: str) -> None:
    log_in("nobody", "wrong")
    assert pages.get(f"/admin/identity/{model}/").status_code == 200
    assert pages.get(f"/admin/identity/{model}/?q=a").status_code == 200


def test_user_page_opens_and_makes_a_user(pages: Client, there: Bootstrapped) -> None:
    assert pages.get(f"/admin/identity/user/{there.demo_user_id}/change/").status_code == 200
    new = {"name": "paged", "domain": "default", "usable_password": "true"}
    new |= {"password1": "a long enough one", "password2": "a long enough one"}
    inline = {"role_assignments-TOTAL_FORMS": "0", "role_assignments-INITIAL_FORMS": "0"}
    answer = pages.post("/admin/identity/user/add/", new | inline)
    assert answer.status_code == 302, answer.context["errors"]
    assert log_in("paged", "a long enough one").status_code == 201


def test_password_set_on_a_page_voids_tokens(pages: Client, demo: Api, there: Bootstrapped) -> None:
    new = {"password1": "quite another one", "password2": "quite another one", "usable_password": "true"}
    answer = pages.post(f"/admin/identity/user/{there.demo_user_id}/password/", new)
    assert answer.status_code == 302
    assert demo.get("/auth/projects").status_code == 401
    assert log_in("demo", "quite another one").status_code == 201


def test_role_taken_on_a_page_voids_tokens(pages: Client, demo: Api, there: Bootstrapped) -> None:
    [row] = RoleAssignment.objects.filter(user_id=there.demo_user_id)
    assert pages.post(f"/admin/identity/roleassignment/{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert demo.get("/auth/projects").status_code == 401


@pytest.mark.parametrize("model", ["user", "project"])
def test_deleting_on_a_page_voids_tokens(pages: Client, demo: Api, there: Bootstrapped, model: str) -> None:
    pk = there.demo_user_id if model == "user" else there.demo_project_id
    assert pages.post(f"/admin/identity/{model}/{pk}/delete/", {"post": "yes"}).status_code == 302
    assert demo.get("/auth/projects").status_code == 401


def test_scope_of_a_domain_user_says_its_domain(admin: Api) -> None:
    domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]["id"]
    user = admin.post("/users", {"user": {"name": "u", "domain_id": domain, "password": "p"}}).json()["user"][
        "id"
    ]
    proved = login.by_password(Who(name="u", domain_name="d"), "p", source="x")
    assert proved.user.id == user
    assert login.issue(proved, Scope(unscoped=True))
