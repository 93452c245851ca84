"""Groups: made, changed, deleted; who is in them; what they give and take."""

from typing import Any

import pytest

from identity.models import Group, GroupMember, Role, RoleAssignment, User
from identity.services import users
from identity.services.bootstrap import Bootstrapped
from identity.testing import Api
from tests.identity.conftest import DEMO_PASSWORD, log_in, project, token_of


def made(admin: Api, name: str = "crew", **values: Any) -> str:
    """Return the id of a new group."""
    answer = admin.post("/groups", {"group": {"name": name, **values}})
    assert answer.status_code == 201, answer.content
    return str(answer.json()["group"]["id"])


def role_id(name: str) -> str:
    return str(Role.objects.get(name=name).id)


def test_group_is_made_shown_changed_listed_and_deleted(admin: Api) -> None:
    group = made(admin, description=None)
    shown = admin.get(f"/groups/{group}").json()["group"]
    assert shown == {
        "id": group,
        "name": "crew",
        "domain_id": "default",
        "description": "",
        "links": {"self": f"http://testserver/identity/v3/groups/{group}"},
    }
    changed = admin.patch(f"/groups/{group}", {"group": {"name": "staff", "description": "d"}}).json()[
        "group"
    ]
    assert (changed["name"], changed["description"]) == ("staff", "d")
    assert [row["name"] for row in admin.get("/groups?name=staff&domain_id=default").json()["groups"]] == [
        "staff"
    ]
    assert admin.get("/groups?name=crew").json()["groups"] == []
    assert [row["name"] for row in admin.get("/groups?name__contains=TAF").json()["groups"]] == ["staff"]
    assert admin.delete(f"/groups/{group}").status_code == 204
    assert admin.get(f"/groups/{group}").status_code == 404


def test_name_is_unique_in_its_domain(admin: Api) -> None:
    other = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]["id"]
    made(admin)
    made(admin, domain_id=other)
    refused = admin.post("/groups", {"group": {"name": "crew"}})
    assert refused.status_code == 409 and refused.json()["error"]["title"] == "Conflict"
    assert Group.objects.count() == 2


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": ""},
        {"name": "x" * 65},
        {"name": "a", "domain_id": "none"},
        {"name": 5},
    ],
)
def test_wrong_group_is_400(admin: Api, values: dict[str, Any]) -> None:
    assert admin.post("/groups", {"group": values}).status_code == 400
    assert not Group.objects.exists()


def test_group_stays_in_its_domain(admin: Api) -> None:
    group = made(admin)
    assert admin.patch(f"/groups/{group}", {"group": {"domain_id": "other"}}).status_code == 400


def test_user_is_added_checked_listed_and_taken_out(admin: Api, there: Bootstrapped) -> None:
    group = made(admin)
    path = f"/groups/{group}/users/{there.demo_user_id}"
    assert admin.send("HEAD", path).status_code == 404
    for _ in range(2):
        assert admin.put(path).status_code == 204
    assert GroupMember.objects.count() == 1
    assert admin.send("HEAD", path).status_code == 204
    assert [row["name"] for row in admin.get(f"/groups/{group}/users").json()["users"]] == ["demo"]
    assert admin.get(f"/groups/{group}/users?name=other").json()["users"] == []
    assert [row["id"] for row in admin.get(f"/users/{there.demo_user_id}/groups").json()["groups"]] == [group]
    assert admin.delete(path).status_code == 204
    assert admin.delete(path).status_code == 404


@pytest.mark.parametrize("method", ["put", "get", "delete"])
def test_member_of_something_unknown_is_404(admin: Api, there: Bootstrapped, method: str) -> None:
    group = made(admin)
    assert getattr(admin, method)(f"/groups/{group}/users/none").status_code == 404
    assert getattr(admin, method)(f"/groups/none/users/{there.demo_user_id}").status_code == 404


def test_group_gives_its_roles_and_takes_them_with_the_tokens(admin: Api, there: Bootstrapped) -> None:
    group = made(admin)
    given = f"/projects/{there.admin_project_id}/groups/{group}/roles/{role_id('member')}"
    joined = f"/groups/{group}/users/{there.demo_user_id}"

    def scoped() -> Any:
        return log_in("demo", DEMO_PASSWORD, scope=project("admin"))

    assert scoped().status_code == 401
    assert admin.put(given).status_code == 204
    assert scoped().status_code == 401
    assert admin.put(joined).status_code == 204
    token = scoped().json()["token"]
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    for undo, redo in (
        (lambda: admin.delete(joined), lambda: admin.put(joined)),
        (lambda: admin.delete(given), lambda: admin.put(given)),
        (lambda: admin.delete(f"/groups/{group}"), None),
    ):
        api = Api(token_of(scoped()), admin_service())
        assert {row["name"] for row in api.get("/auth/projects").json()["projects"]} == {"demo", "admin"}
        assert undo().status_code == 204
        assert api.get("/auth/projects").status_code == 401
        assert scoped().status_code == 401
        if redo:
            assert redo().status_code == 204
    assert not RoleAssignment.objects.filter(group=group).exists()


def admin_service() -> Any:
    from computecloud.wire.services import IDENTITY

    return IDENTITY


@pytest.mark.parametrize("scope", ["projects", "domains", "system"])
def test_role_of_a_group_is_given_checked_listed_and_taken(
    admin: Api, there: Bootstrapped, scope: str
) -> None:
    group = made(admin)
    place = {
        "projects": f"/projects/{there.demo_project_id}",
        "domains": "/domains/default",
        "system": "/system",
    }
    base = f"{place[scope]}/groups/{group}/roles"
    path = f"{base}/{role_id('reader')}"
    assert admin.send("HEAD", path).status_code == 404
    for _ in range(2):
        assert admin.put(path).status_code == 204
    assert RoleAssignment.objects.filter(group=group).count() == 1
    assert admin.send("HEAD", path).status_code == 204
    assert [row["name"] for row in admin.get(base).json()["roles"]] == ["reader"]
    assert admin.delete(path).status_code == 204
    assert admin.delete(path).status_code == 404
    assert admin.get(base).json()["roles"] == []


def test_effective_assignments_are_of_the_members(admin: Api, there: Bootstrapped) -> None:
    group = made(admin)
    member = role_id("member")
    admin.put(f"/projects/{there.admin_project_id}/groups/{group}/roles/{member}")
    admin.put(f"/groups/{group}/users/{there.demo_user_id}")
    [row] = admin.get(f"/role_assignments?group.id={group}&include_names").json()["role_assignments"]
    assert row["group"] == {"id": group, "name": "crew", "domain": {"id": "default", "name": "Default"}}
    assert row["links"]["assignment"].endswith(
        f"/projects/{there.admin_project_id}/groups/{group}/roles/{member}"
    )
    rows = admin.get(
        f"/role_assignments?user.id={there.demo_user_id}&scope.project.id={there.admin_project_id}&effective"
    ).json()["role_assignments"]
    assert {one["role"]["id"] for one in rows} == {member, role_id("reader")}
    assert {one["user"]["id"] for one in rows} == {there.demo_user_id}
    assert all(
        one["links"]["membership"].endswith(f"/groups/{group}/users/{there.demo_user_id}") for one in rows
    )
    [implied] = [one for one in rows if one["role"]["id"] == role_id("reader")]
    assert implied["links"]["prior_role"].endswith(f"/roles/{member}")
    plain = admin.get(f"/role_assignments?user.id={there.demo_user_id}").json()["role_assignments"]
    assert len(plain) == 1


@pytest.mark.parametrize(
    "query",
    [
        "effective&group.id=x",
        "user.id=x&group.id=y",
        "scope.project.id=x&scope.domain.id=y",
        "scope.system=all&scope.domain.id=y",
        "include_subtree",
    ],
)
def test_contradictory_filters_are_400(admin: Api, query: str) -> None:
    assert admin.get(f"/role_assignments?{query}").status_code == 400


def test_subtree_brings_the_projects_below(admin: Api, there: Bootstrapped) -> None:
    below = admin.post("/projects", {"project": {"name": "below", "parent_id": there.demo_project_id}})
    below_id = below.json()["project"]["id"]
    admin.put(f"/projects/{below_id}/users/{there.demo_user_id}/roles/{role_id('reader')}")
    query = f"/role_assignments?user.id={there.demo_user_id}&scope.project.id={there.demo_project_id}"
    assert len(admin.get(query).json()["role_assignments"]) == 1
    assert len(admin.get(f"{query}&include_subtree").json()["role_assignments"]) == 2


def test_query_count_does_not_grow_with_groups(
    admin: Api, there: Bootstrapped, django_assert_num_queries: Any
) -> None:
    reader = Role.objects.get(name="reader")
    counts = []
    for number in range(40):
        group = Group.objects.create(name=f"g{number}", domain_id="default")
        user = User.objects.create(name=f"u{number}", domain_id="default")
        GroupMember.objects.create(group=group, user=user)
        RoleAssignment.objects.create(group=group, role=reader, project_id=there.demo_project_id)
        if number in (2, 39):
            with django_assert_num_queries(4):
                rows = admin.get("/role_assignments?include_names=1&effective=1").json()["role_assignments"]
                counts.append(len(rows))
            with django_assert_num_queries(1):
                assert len(admin.get("/groups").json()["groups"]) == number + 1
    assert counts[1] - counts[0] == 37


def test_deleted_user_leaves_its_groups_and_a_domain_takes_its_groups_along(
    admin: Api, there: Bootstrapped
) -> None:
    domain = admin.post("/domains", {"domain": {"name": "d"}}).json()["domain"]["id"]
    group = made(admin, domain_id=domain)
    admin.put(f"/groups/{group}/users/{there.demo_user_id}")
    users.delete(User.objects.get(pk=there.demo_user_id))
    assert not GroupMember.objects.exists()
    admin.patch(f"/domains/{domain}", {"domain": {"enabled": False}})
    assert admin.delete(f"/domains/{domain}").status_code == 204
    assert not Group.objects.exists()


def test_only_admins_see_and_change_groups(admin: Api, demo: Api, there: Bootstrapped) -> None:
    group = made(admin)
    path = f"/groups/{group}"
    for refused in (
        demo.get("/groups"),
        demo.post("/groups", {"group": {"name": "mine"}}),
        demo.patch(path, {"group": {"name": "x"}}),
        demo.delete(path),
        demo.put(f"{path}/users/{there.demo_user_id}"),
        demo.delete(f"{path}/users/{there.demo_user_id}"),
        demo.get(f"/projects/{there.demo_project_id}/groups/{group}/roles"),
        demo.put(f"/projects/{there.demo_project_id}/groups/{group}/roles/{role_id('member')}"),
    ):
        assert refused.status_code == 403
    assert demo.get(path).status_code == 404
    assert demo.get(f"{path}/users").status_code == 404
    admin.put(f"{path}/users/{there.demo_user_id}")
    assert demo.get(path).status_code == 200
    assert demo.get(f"{path}/users").status_code == 403
    assert demo.send("HEAD", f"{path}/users/{there.demo_user_id}").status_code == 204
    assert [row["id"] for row in demo.get(f"/users/{there.demo_user_id}/groups").json()["groups"]] == [group]
    assert demo.get(f"/users/{there.admin_user_id}/groups").status_code == 404
