"""/roles, assignments and the read-only catalog lists."""

from typing import Any

import pytest

from computecloud.wire.errors import Forbidden
from identity import policy
from identity.models import Role, RoleAssignment
from identity.services.bootstrap import Bootstrapped
from identity.testing import Api, caller


def role_id(name: str) -> str:
    return str(Role.objects.get(name=name).pk)


def test_role_is_made_shown_changed_listed_and_deleted(admin: Api) -> None:
    role = admin.post("/roles", {"role": {"name": "auditor", "description": "d"}}).json()["role"]
    path = f"/roles/{role['id']}"
    assert admin.get(path).json()["role"] == role
    assert admin.patch(path, {"role": {"name": "checker"}}).json()["role"]["name"] == "checker"
    assert [row["id"] for row in admin.get("/roles?name=checker").json()["roles"]] == [role["id"]]
    assert admin.get("/roles?domain_id=default").json()["roles"] == []
    assert admin.post("/roles", {"role": {"name": "checker"}}).status_code == 409
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404


@pytest.mark.parametrize("name", policy.BOOTSTRAP_ROLES)
def test_roles_that_policies_know_stay(admin: Api, name: str) -> None:
    path = f"/roles/{role_id(name)}"
    assert admin.delete(path).status_code == 403
    assert admin.patch(path, {"role": {"name": "other"}}).status_code == 403
    assert admin.patch(path, {"role": {"description": "d"}}).status_code == 200


@pytest.mark.parametrize("values", [{}, {"name": ""}, {"name": "r", "domain_id": "default"}])
def test_wrong_role_is_400(admin: Api, values: dict[str, Any]) -> None:
    assert admin.post("/roles", {"role": values}).status_code == 400


@pytest.mark.parametrize("scope", ["projects", "domains"])
def test_role_is_given_checked_listed_and_taken(admin: Api, there: Bootstrapped, scope: str) -> None:
    scope_id = there.admin_project_id if scope == "projects" else "default"
    base = f"/{scope}/{scope_id}/users/{there.demo_user_id}/roles"
    path = f"{base}/{role_id('reader')}"
    assert admin.send("HEAD", path).status_code == 404
    assert admin.put(path).status_code == 204
    assert admin.put(path).status_code == 204
    assert RoleAssignment.objects.filter(user_id=there.demo_user_id, role__name="reader").count() == 1
    assert admin.send("HEAD", path).status_code == 204
    assert admin.get(path).status_code == 204
    assert [row["name"] for row in admin.get(base).json()["roles"]] == ["reader"]
    assert admin.delete(path).status_code == 204
    assert admin.delete(path).status_code == 404
    assert admin.get(base).json()["roles"] == []


@pytest.mark.parametrize("method", ["put", "get", "delete"])
@pytest.mark.parametrize("wrong", ["project", "user", "role"])
def test_assignment_of_something_unknown_is_404(
    admin: Api, there: Bootstrapped, method: str, wrong: str
) -> None:
    ids = {"project": there.demo_project_id, "user": there.demo_user_id, "role": role_id("reader")}
    ids[wrong] = "unknown"
    path = "/projects/{project}/users/{user}/roles/{role}".format(**ids)
    assert getattr(admin, method)(path).status_code == 404


def test_only_admins_give_and_see(demo: Api, there: Bootstrapped) -> None:
    path = f"/projects/{there.demo_project_id}/users/{there.demo_user_id}/roles"
    for refused in (
        demo.put(f"{path}/{role_id('admin')}"),
        demo.delete(f"{path}/{role_id('member')}"),
        demo.get(f"{path}/{role_id('member')}"),
        demo.get(path),
        demo.get("/role_assignments"),
        demo.get("/roles"),
        demo.get(f"/roles/{role_id('admin')}"),
        demo.post("/roles", {"role": {"name": "x"}}),
        demo.patch(f"/roles/{role_id('admin')}", {"role": {"name": "x"}}),
        demo.delete(f"/roles/{role_id('admin')}"),
    ):
        assert refused.status_code == 403


def test_assignments_are_listed(admin: Api, there: Bootstrapped) -> None:
    rows = admin.get("/role_assignments").json()["role_assignments"]
    assert len(rows) == 5
    [row] = admin.get(f"/role_assignments?user.id={there.demo_user_id}").json()["role_assignments"]
    member = role_id("member")
    path = f"projects/{there.demo_project_id}/users/{there.demo_user_id}/roles/{member}"
    assert row == {
        "role": {"id": member},
        "user": {"id": there.demo_user_id},
        "scope": {"project": {"id": there.demo_project_id}},
        "links": {"assignment": f"http://testserver/identity/v3/{path}"},
    }


def test_assignments_have_names_when_asked(admin: Api, there: Bootstrapped) -> None:
    query = f"user.id={there.demo_user_id}&include_names=True&something_else=1"
    [row] = admin.get(f"/role_assignments?{query}").json()["role_assignments"]
    default = {"id": "default", "name": "Default"}
    assert row["role"]["name"] == "member"
    assert (row["user"]["name"], row["user"]["domain"]) == ("demo", default)
    assert row["scope"]["project"]["domain"] == default


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("scope.domain.id=default", 1),
        ("role.id={admin}", 4),
        ("scope.project.id={project}", 2),
        ("scope.project.id={project}&role.id={reader}", 0),
        ("scope.project.id={project}&role.id={reader}&effective", 2),
        ("user.id={user}&effective=1", 2),
        ("user.id={user}&effective=0", 1),
        ("user.id=unknown", 0),
        ("group.id=x", 0),
        ("scope.system=all", 1),
        ("scope.OS-INHERIT:inherited_to=projects", 0),
    ],
)
def test_assignments_are_filtered(admin: Api, there: Bootstrapped, query: str, count: int) -> None:
    text = query.format(
        admin=role_id("admin"),
        reader=role_id("reader"),
        project=there.demo_project_id,
        user=there.demo_user_id,
    )
    assert len(admin.get(f"/role_assignments?{text}").json()["role_assignments"]) == count


def test_query_count_does_not_grow_with_assignments(
    admin: Api, there: Bootstrapped, django_assert_num_queries: Any
) -> None:
    for name in policy.BOOTSTRAP_ROLES:
        admin.put(f"/projects/{there.admin_project_id}/users/{there.demo_user_id}/roles/{role_id(name)}")
    with django_assert_num_queries(3):
        admin.get("/role_assignments?include_names=1&effective=1")


def test_services_endpoints_and_regions_are_read_only(admin: Api) -> None:
    services = admin.get("/services").json()["services"]
    assert {row["type"] for row in services} >= {"compute", "identity"}
    [compute] = admin.get("/services?type=compute").json()["services"]
    assert admin.get(f"/services/{compute['id']}").json()["service"] == compute
    ends = admin.get(f"/endpoints?service_id={compute['id']}&interface=public").json()["endpoints"]
    assert [end["url"] for end in ends] == ["http://testserver/compute/v2.1"]
    assert admin.get(f"/endpoints/{ends[0]['id']}").json()["endpoint"] == ends[0]
    assert [row["id"] for row in admin.get("/regions").json()["regions"]] == ["RegionOne"]
    assert admin.get("/services/none").status_code == 404


def test_catalog_of_the_token(demo: Api) -> None:
    assert {row["name"] for row in demo.get("/auth/catalog").json()["catalog"]} >= {"nova", "keystone"}


@pytest.mark.parametrize(
    ("role", "enough"),
    [
        ("admin", {"admin", "manager", "member", "reader"}),
        ("manager", {"manager", "member", "reader"}),
        ("member", {"member", "reader"}),
        ("reader", {"reader"}),
        ("service", {"service"}),
        ("unheard of", {"unheard of"}),
    ],
)
def test_role_implies_those_below(role: str, enough: set[str]) -> None:
    assert policy.expand([role]) == enough
    for wanted in policy.BOOTSTRAP_ROLES:
        if wanted in enough:
            policy.require(caller(role), wanted)
        else:
            with pytest.raises(Forbidden):
                policy.require(caller(role), wanted)
