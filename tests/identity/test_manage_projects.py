"""/projects and /domains."""

from typing import Any

import pytest

from identity.models import Domain, Project, RoleAssignment, User
from identity.services.bootstrap import Bootstrapped
from identity.testing import Api
from tests.identity.conftest import DEMO_PASSWORD, log_in


def test_project_is_made_shown_changed_listed_and_deleted(admin: Api) -> None:
    made = admin.post("/projects", {"project": {"name": "p", "description": "d", "tags": ["a"]}})
    assert made.status_code == 201
    project = made.json()["project"]
    assert project == {
        "id": project["id"],
        "name": "p",
        "domain_id": "default",
        "description": "d",
        "enabled": True,
        "parent_id": "default",
        "is_domain": False,
        "tags": ["a"],
        "options": {},
        "links": {"self": f"http://testserver/identity/v3/projects/{project['id']}"},
    }
    path = f"/projects/{project['id']}"
    assert admin.get(path).json()["project"] == project
    assert admin.patch(path, {"project": {"name": "q", "enabled": False}}).json()["project"]["name"] == "q"
    assert [row["id"] for row in admin.get("/projects?enabled=False").json()["projects"]] == [project["id"]]
    assert admin.get("/projects?name=q&parent_id=default").json()["projects"][0]["enabled"] is False
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404


def test_a_domain_is_a_project_too(admin: Api, demo: Api) -> None:
    made = admin.post("/projects", {"project": {"name": "d", "is_domain": True, "domain_id": None}})
    assert made.status_code == 201, made.content
    project = made.json()["project"]
    path = f"/projects/{project['id']}"
    assert project == {
        "id": project["id"],
        "name": "d",
        "description": "",
        "enabled": True,
        "domain_id": None,
        "parent_id": None,
        "is_domain": True,
        "tags": [],
        "options": {},
        "links": {"self": f"http://testserver/identity/v3{path}"},
    }
    assert admin.get(path).json()["project"] == project
    assert project in admin.get("/projects?is_domain=true").json()["projects"]
    assert project["id"] in [row["id"] for row in admin.get("/domains").json()["domains"]]
    assert project["id"] not in [row["id"] for row in admin.get("/projects").json()["projects"]]
    assert admin.patch(path, {"project": project}).json()["project"] == project
    assert admin.patch(path, {"project": {"is_domain": False}}).status_code == 400
    assert admin.patch(path, {"project": {"tags": ["a"]}}).status_code == 400
    assert demo.get(path).status_code == 404
    assert demo.patch(path, {"project": {"name": "x"}}).status_code == 403
    assert demo.delete(path).status_code == 403
    assert demo.post("/projects", {"project": {"name": "e", "is_domain": True}}).status_code == 403
    assert admin.delete(path).status_code == 403  # it is enabled
    assert admin.patch(path, {"project": {"enabled": False}}).json()["project"]["enabled"] is False
    assert admin.delete(path).status_code == 204
    assert admin.get(f"/domains/{project['id']}").status_code == 404


def test_project_may_stand_below_another(admin: Api) -> None:
    parent = admin.post("/projects", {"project": {"name": "parent"}}).json()["project"]["id"]
    child = admin.post("/projects", {"project": {"name": "child", "parent_id": parent}}).json()["project"]
    assert child["parent_id"] == parent
    assert admin.delete(f"/projects/{parent}").status_code == 403
    assert admin.patch(f"/projects/{child['id']}", {"project": {"parent_id": "default"}}).status_code == 400
    assert admin.delete(f"/projects/{child['id']}").status_code == 204
    assert admin.delete(f"/projects/{parent}").status_code == 204


def test_name_is_unique_in_its_domain(admin: Api) -> None:
    assert admin.post("/projects", {"project": {"name": "demo"}}).status_code == 409
    other = admin.post("/domains", {"domain": {"name": "other"}}).json()["domain"]["id"]
    assert admin.post("/projects", {"project": {"name": "demo", "domain_id": other}}).status_code == 201


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": ""},
        {"name": "x" * 65},
        {"name": "p", "domain_id": "elsewhere"},
        {"name": "p", "parent_id": "f" * 32},
        {"name": "p", "is_domain": "perhaps"},
        {"name": "p", "is_domain": True, "domain_id": "default"},
        {"name": "p", "is_domain": True, "parent_id": "default"},
        {"name": "p", "is_domain": True, "tags": ["a"]},
        {"name": "p", "tags": "a"},
        {"name": "p", "tags": ["a,b"]},
        {"name": "p", "tags": ["a"] * 81},
        {"name": "p", "enabled": None},
        {"name": "p", "description": "x" * 256},
    ],
)
def test_wrong_values_are_400_and_leave_nothing(admin: Api, values: dict[str, Any]) -> None:
    before = Project.objects.count()
    assert admin.post("/projects", {"project": values}).status_code == 400
    assert Project.objects.count() == before


def test_others_see_only_projects_where_they_have_a_role(demo: Api, there: Bootstrapped) -> None:
    assert demo.get(f"/projects/{there.demo_project_id}").status_code == 200
    assert demo.get(f"/projects/{there.admin_project_id}").status_code == 404
    assert [row["name"] for row in demo.get("/auth/projects").json()["projects"]] == ["demo"]
    assert demo.get("/auth/domains").json()["domains"] == []
    assert demo.get("/auth/system").json()["system"] == []


def test_admin_sees_own_projects_and_domains_too(admin: Api) -> None:
    assert [row["name"] for row in admin.get("/auth/projects").json()["projects"]] == ["admin", "demo"]
    assert [row["id"] for row in admin.get("/auth/domains").json()["domains"]] == ["default"]


def test_only_admins_write_and_list(demo: Api, there: Bootstrapped) -> None:
    own = f"/projects/{there.demo_project_id}"
    for refused in (
        demo.get("/projects"),
        demo.post("/projects", {"project": {"name": "x"}}),
        demo.patch(own, {"project": {"name": "x"}}),
        demo.delete(own),
        demo.get("/domains"),
        demo.post("/domains", {"domain": {"name": "x"}}),
        demo.patch("/domains/default", {"domain": {"name": "x"}}),
        demo.delete("/domains/default"),
    ):
        assert refused.status_code == 403


@pytest.mark.parametrize("path", ["/projects/none", "/domains/none"])
def test_unknown_is_404(admin: Api, path: str) -> None:
    key = path.split("/")[1][:-1]
    assert admin.get(path).status_code == 404
    assert admin.patch(path, {key: {}}).status_code == 404
    assert admin.delete(path).status_code == 404


def test_domain_is_deleted_with_what_is_in_it_but_only_when_disabled(admin: Api) -> None:
    domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]
    assert domain["enabled"] is True
    path = f"/domains/{domain['id']}"
    admin.post("/users", {"user": {"name": "u", "domain_id": domain["id"], "password": "pw"}})
    admin.post("/projects", {"project": {"name": "p", "domain_id": domain["id"]}})
    assert log_in("u", "pw", domain=domain["id"]).status_code == 201
    assert admin.delete(path).status_code == 403
    assert admin.patch(path, {"domain": {"enabled": False}}).status_code == 200
    assert log_in("u", "pw", domain=domain["id"]).status_code == 401
    assert admin.delete(path).status_code == 204
    assert not Domain.objects.filter(pk=domain["id"]).exists()
    assert not User.objects.filter(name="u").exists() and not Project.objects.filter(name="p").exists()


def test_default_domain_stays_enabled(admin: Api) -> None:
    assert admin.patch("/domains/default", {"domain": {"enabled": False}}).status_code == 403
    assert log_in("demo", DEMO_PASSWORD).status_code == 201


def test_domain_name_is_unique(admin: Api) -> None:
    assert admin.post("/domains", {"domain": {"name": "Default"}}).status_code == 409


def test_others_see_their_own_domain_only(admin: Api, demo: Api) -> None:
    other = admin.post("/domains", {"domain": {"name": "other"}}).json()["domain"]["id"]
    assert demo.get("/domains/default").status_code == 200
    assert demo.get(f"/domains/{other}").status_code == 404


def test_deleted_project_takes_its_assignments_along(admin: Api, there: Bootstrapped) -> None:
    admin.delete(f"/projects/{there.demo_project_id}")
    assert not RoleAssignment.objects.filter(project_id=there.demo_project_id).exists()


def test_query_count_does_not_grow_with_projects(admin: Api, django_assert_num_queries: Any) -> None:
    Project.objects.bulk_create(Project(name=f"p{number}", domain_id="default") for number in range(50))
    with django_assert_num_queries(1):
        assert len(admin.get("/projects").json()["projects"]) == 53
