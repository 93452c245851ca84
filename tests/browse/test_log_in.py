"""Logging in, choosing a project, logging out: a session is a token and gives nothing more."""

from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from computecloud.browse import sessions
from identity import revocation, tokens
from identity.models import Domain, Project, Role, RoleAssignment, User
from identity.services import users
from tests.browse.conftest import HTML, PASSWORD, SERVERS, Browser
from tests.instances.conftest import Tenant


def token_of(browser: Browser) -> str:
    return str(browser.session[sessions.TOKEN])


def test_a_browser_without_a_session_is_sent_to_log_in_and_back(demo: Tenant):
    browser = Browser()
    answer = browser.get(f"{SERVERS}?marker=x")
    assert (answer.status_code, answer["Location"]) == (
        302,
        "/browse/login?next=%2Fcompute%2Fv2.1%2Fservers%3Fmarker%3Dx",
    )
    assert "User name" in browser.page(answer["Location"])
    assert browser.log_in(next=SERVERS)["Location"] == SERVERS


@pytest.mark.parametrize(
    "address", ["", "https://elsewhere.example/", "//elsewhere.example", "javascript:x", "\\\\x"]
)
def test_a_log_in_goes_on_to_no_other_site(demo: Tenant, address: str):
    assert Browser().log_in(next=address)["Location"] == "/browse/"


def test_a_session_speaks_for_the_user_s_default_project_as_a_token_does(browser: Browser, demo: Tenant):
    caller = tokens.check(token_of(browser))
    assert (caller.user_id, caller.project_id) == (demo.user_id, demo.project_id)
    assert caller.methods == ("password",)


@pytest.mark.parametrize(
    "wrong", [{"password": "no"}, {"name": "nobody"}, {"name": ""}, {"password": ""}, {"name": "x" * 300}]
)
def test_a_wrong_log_in_is_refused_and_leaves_no_session(demo: Tenant, wrong: dict[str, str]):
    browser = Browser()
    answer = browser.log_in(**wrong)
    assert answer.status_code in (400, 401)
    assert 'class="error"' in answer.content.decode()
    assert sessions.TOKEN not in browser.session


def test_a_password_is_never_shown_again(demo: Tenant):
    assert "not this one" not in Browser().log_in(password="not this one").content.decode()


def test_failed_log_ins_hold_the_account_up_in_pages_and_api_together(demo: Tenant):
    user = {"name": "demo", "domain": {"id": "default"}, "password": "no"}
    auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    for _ in range(5):
        assert Browser().log_in(password="no").status_code == 401
        assert Client().post("/identity/v3/auth/tokens", auth, "application/json").status_code == 401
    held = Browser().log_in()
    assert held.status_code == 429
    assert int(held["Retry-After"]) > 0
    assert "Too many failed log-ins" in held.content.decode()


def test_a_forged_log_in_is_refused(demo: Tenant):
    answer = Browser().post("/browse/login", {"name": "demo", "password": PASSWORD, "domain": "Default"})
    assert answer.status_code == 403
    assert "This page is older than your log-in" in answer.content.decode()
    assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_a_forged_form_of_the_operators_is_refused_by_their_pages(there: Any):
    answer = Browser().post("/admin/login/", {"username": "admin", "password": "admin's password"})
    assert answer.status_code == 403
    assert "CSRF" in answer.content.decode()


def test_logging_in_makes_another_session_of_the_one_before(demo: Tenant):
    browser = Browser()
    browser.session.save()
    session = browser.session
    session["planted"] = True
    session.save()
    browser.cookies["sessionid"] = before = session.session_key
    browser.log_in()
    assert browser.cookies["sessionid"].value != before
    assert not Session.objects.filter(session_key=before).exists()


def test_logging_out_voids_the_token_and_ends_the_session(browser: Browser):
    token = token_of(browser)
    assert browser.send("/browse/logout", form="/browse/projects")["Location"] == "/browse/login"
    assert browser.get(SERVERS).status_code == 302
    assert Client(headers={"X-Auth-Token": token}).get(SERVERS).status_code == 401
    assert not Session.objects.exists()


def test_a_forged_log_out_is_refused(browser: Browser):
    assert browser.post("/browse/logout").status_code == 403
    browser.page(SERVERS)


@pytest.mark.parametrize("how", ["user", "grant", "keys"])
def test_what_voids_the_token_ends_the_session(browser: Browser, demo: Tenant, how: str):
    caller = tokens.check(token_of(browser))
    if how == "user":
        users.set_password(User.objects.get(pk=demo.user_id), "another password")
    elif how == "grant":
        revocation.revoke_grant(demo.user_id, demo.project_id)
    else:
        revocation.revoke_keys([caller.key_id])
    assert browser.get(SERVERS)["Location"].startswith("/browse/login")


def test_a_session_ends_when_its_token_does(browser: Browser, monkeypatch: pytest.MonkeyPatch):
    session = browser.session
    grant = tokens.Grant(user_id="u", user_name="u", user_domain_id="default", project_id="p")
    session[sessions.TOKEN] = tokens.issue(grant, expires_at=1.0)
    session.save()
    assert browser.get(SERVERS)["Location"].startswith("/browse/login")


def another_project(user_id: str, role: str) -> Project:
    made = Project.objects.create(name=f"second as {role}", domain=Domain.objects.get(pk="default"))
    RoleAssignment.objects.create(user_id=user_id, project=made, role=Role.objects.get(name=role))
    return made


def test_a_user_chooses_among_the_projects_of_its_roles(browser: Browser, demo: Tenant):
    second = another_project(demo.user_id, "reader")
    Project.objects.create(name="not mine", domain=Domain.objects.get(pk="default"))
    before = token_of(browser)
    shown = browser.page("/browse/projects")
    assert "second as reader" in shown
    assert "not mine" not in shown
    answer = browser.send("/browse/projects", project=second.id, next="/compute/v2.1/flavors")
    assert answer["Location"] == "/compute/v2.1/flavors"
    caller = tokens.check(token_of(browser))
    assert (caller.project_id, caller.roles) == (second.id, frozenset({"reader"}))
    assert Client(headers={"X-Auth-Token": before}).get(SERVERS).status_code == 401


@pytest.mark.parametrize("wanted", ["admin's", "none", ""])
def test_a_project_without_a_role_is_refused(browser: Browser, demo: Tenant, wanted: str):
    project = {"admin's": Project.objects.get(name="admin").id, "none": "0" * 32, "": ""}[wanted]
    answer = browser.send("/browse/projects", project=project)
    assert answer.status_code in (400, 403)
    assert tokens.check(token_of(browser)).project_id == demo.project_id


def test_a_forged_choice_is_refused(browser: Browser, demo: Tenant):
    assert browser.post("/browse/projects", {"project": demo.project_id}).status_code == 403


def test_who_has_no_project_is_sent_to_choose_one(demo: Tenant):
    RoleAssignment.objects.filter(user_id=demo.user_id).delete()
    browser = Browser()
    browser.log_in()
    answer = browser.get(SERVERS)
    assert answer["Location"] == "/browse/projects?next=%2Fcompute%2Fv2.1%2Fservers"
    assert "You have a role in no project" in browser.page(answer["Location"])


def test_an_operator_s_session_of_the_admin_pages_is_no_tenant_s(demo: Tenant):
    operator = User.objects.create(id="op", name="op", is_staff=True, is_superuser=True)
    browser = Browser()
    browser.force_login(operator, backend="identity.backends.PageBackend")
    assert browser.get(SERVERS)["Location"].startswith("/browse/login")


@pytest.mark.parametrize("headers", [{"Accept": "application/json"}, {"Accept": "*/*"}, {}])
def test_a_session_gives_nothing_to_who_asks_for_no_page(browser: Browser, headers: dict[str, str]):
    strict = Client(headers=headers)
    strict.cookies = browser.cookies
    answer = strict.get(SERVERS)
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/json")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_session_writes_at_no_address_of_the_apis(browser: Browser, method: str):
    answer: Any = getattr(browser, method)(SERVERS, {}, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/json")


def test_a_token_gets_json_whatever_it_accepts(browser: Browser, demo: Tenant):
    both = Client(headers={"X-Auth-Token": token_of(browser), "Accept": HTML})
    both.cookies = browser.cookies
    answer = both.get(SERVERS)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert "Content-Security-Policy" not in answer


def test_a_token_client_pays_no_query_for_pages(browser: Browser, django_assert_num_queries: Any):
    client = Client(headers={"X-Auth-Token": token_of(browser), "Accept": HTML})
    with django_assert_num_queries(1):
        client.get(SERVERS)
