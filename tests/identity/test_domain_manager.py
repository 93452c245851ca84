"""Domain and system tokens: what a domain's manager and reader, and the system's reader, may and may not."""

from typing import Any

import pytest

from computecloud.wire.services import COMPUTE, IDENTITY
from identity.models import Domain, Group, GroupMember, Project, Role, RoleAssignment, User
from identity.services.bootstrap import Bootstrapped
from identity.testing import Api
from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD, log_in, token_of


@pytest.fixture
def domain(there: Bootstrapped) -> Domain:
    """Another domain."""
    return Domain.objects.create(name="eng")


def holder(of: Domain, role: str, **where: Any) -> User:
    """Return a user of the domain with a role."""
    user = User(name=f"{role} {len(where)}", domain=of)
    user.set_password("pw")
    user.save()
    RoleAssignment.objects.create(user=user, role=Role.objects.get(name=role), **where)
    return user


def scoped(user: User, scope: Any) -> Api:
    """Return the user's client with a token of this scope."""
    answer = log_in(user.name, "pw", scope=scope, domain=user.domain.pk)
    return Api(token_of(answer), IDENTITY)


@pytest.fixture
def boss(domain: Domain) -> Api:
    """The domain's manager."""
    return scoped(holder(domain, "manager", domain=domain), {"domain": {"id": domain.id}})


def role_id(name: str) -> str:
    return str(Role.objects.get(name=name).id)


def test_domain_token_says_its_domain_and_roles(domain: Domain) -> None:
    user = holder(domain, "manager", domain=domain)
    token = log_in(user.name, "pw", scope={"domain": {"name": "eng"}}, domain=domain.id).json()["token"]
    assert token["domain"] == {"id": domain.id, "name": "eng"}
    assert "project" not in token and "system" not in token
    assert {role["name"] for role in token["roles"]} == {"manager", "member", "reader"}


def test_system_token_says_so_and_is_for_no_project(there: Bootstrapped) -> None:
    answer = log_in("admin", ADMIN_PASSWORD, scope={"system": {"all": True}})
    token = answer.json()["token"]
    assert token["system"] == {"all": True}
    assert "project" not in token and "domain" not in token and token["catalog"]
    api = Api(token_of(answer), IDENTITY)
    assert api.get("/auth/system").json()["system"] == [{"all": True}]
    assert api.get("/users").status_code == 200
    assert Api(token_of(answer), COMPUTE).get("/servers").status_code == 403


def test_without_a_role_in_the_system_there_is_no_system_token(there: Bootstrapped, demo: Api) -> None:
    assert log_in("demo", DEMO_PASSWORD, scope={"system": {"all": True}}).status_code == 401
    assert demo.get("/auth/system").json()["system"] == []
    for wrong in ({"system": {}}, {"system": {"all": False}}, {"system": {"all": True, "x": 1}}):
        assert log_in("demo", DEMO_PASSWORD, scope=wrong).status_code == 400


def test_reader_of_the_system_reads_everything_and_writes_nothing(
    domain: Domain, there: Bootstrapped
) -> None:
    api = scoped(holder(domain, "reader", system=True), {"system": {"all": True}})
    for path in (
        "/users",
        "/projects",
        "/domains",
        "/groups",
        "/roles",
        "/role_assignments",
        "/role_inferences",
    ):
        assert api.get(path).status_code == 200
    assert api.get(f"/users/{there.demo_user_id}").status_code == 200
    assert api.get(f"/users/{there.demo_user_id}/application_credentials").status_code == 200
    for refused in (
        api.post("/users", {"user": {"name": "x"}}),
        api.post("/domains", {"domain": {"name": "x"}}),
        api.patch(f"/users/{there.demo_user_id}", {"user": {"email": "a@example.org"}}),
        api.put(f"/system/users/{there.demo_user_id}/roles/{role_id('reader')}"),
    ):
        assert refused.status_code == 403


def test_taking_a_role_in_the_system_voids_its_tokens(domain: Domain, admin: Api) -> None:
    user = holder(domain, "reader", system=True)
    api = scoped(user, {"system": {"all": True}})
    assert admin.delete(f"/system/users/{user.id}/roles/{role_id('reader')}").status_code == 204
    assert api.get("/users").status_code == 401


def test_manager_makes_users_groups_and_projects_in_its_domain(boss: Api, domain: Domain) -> None:
    user = boss.post("/users", {"user": {"name": "eve", "password": "p"}}).json()["user"]
    group = boss.post("/groups", {"group": {"name": "crew"}}).json()["group"]
    project = boss.post("/projects", {"project": {"name": "rocket"}}).json()["project"]
    assert {user["domain_id"], group["domain_id"], project["domain_id"]} == {domain.id}
    member = f"/projects/{project['id']}/users/{user['id']}/roles/{role_id('member')}"
    crew = f"/projects/{project['id']}/groups/{group['id']}/roles/{role_id('reader')}"
    for path in (member, crew, f"/groups/{group['id']}/users/{user['id']}"):
        assert boss.put(path).status_code == 204
        assert boss.send("HEAD", path).status_code == 204
        assert boss.delete(path).status_code == 204
    assert boss.patch(f"/users/{user['id']}", {"user": {"enabled": False}}).status_code == 200
    assert boss.patch(f"/groups/{group['id']}", {"group": {"name": "staff"}}).status_code == 200
    assert boss.patch(f"/projects/{project['id']}", {"project": {"description": "d"}}).status_code == 200
    for path in (f"/users/{user['id']}", f"/groups/{group['id']}", f"/projects/{project['id']}"):
        assert boss.delete(path).status_code == 204


def test_manager_sees_its_domain_alone(boss: Api, domain: Domain, there: Bootstrapped) -> None:
    Project.objects.create(name="rocket", domain=domain)
    assert {row["domain_id"] for row in boss.get("/users").json()["users"]} == {domain.id}
    assert [row["name"] for row in boss.get("/projects").json()["projects"]] == ["rocket"]
    assert [row["id"] for row in boss.get("/domains").json()["domains"]] == [domain.id]
    assert boss.get("/groups").json()["groups"] == []
    assert len(boss.get("/role_assignments").json()["role_assignments"]) == 1
    assert boss.get("/roles").status_code == 200
    assert boss.get("/users?domain_id=default").status_code == 403
    assert boss.get(f"/users/{there.demo_user_id}").status_code == 404
    assert boss.get(f"/projects/{there.demo_project_id}").status_code == 404
    assert boss.get("/domains/default").status_code == 404


def test_manager_changes_nothing_outside(boss: Api, domain: Domain, there: Bootstrapped) -> None:
    group = Group.objects.create(name="g", domain_id="default")
    own = Group.objects.create(name="own", domain=domain)
    for path, body in (
        (f"/users/{there.demo_user_id}", {"user": {"password": "stolen"}}),
        (f"/projects/{there.demo_project_id}", {"project": {"enabled": False}}),
        (f"/groups/{group.id}", {"group": {"name": "x"}}),
    ):
        assert boss.patch(path, body).status_code == 404
        assert boss.delete(path).status_code == 404
    for refused in (
        boss.post("/users", {"user": {"name": "x", "domain_id": "default"}}),
        boss.post("/projects", {"project": {"name": "x", "domain_id": "default"}}),
        boss.post("/groups", {"group": {"name": "x", "domain_id": "default"}}),
        boss.post("/domains", {"domain": {"name": "x"}}),
        boss.patch(f"/domains/{domain.id}", {"domain": {"name": "x"}}),
        boss.delete(f"/domains/{domain.id}"),
        boss.post("/roles", {"role": {"name": "x"}}),
        boss.put(f"/projects/{there.demo_project_id}/users/{there.demo_user_id}/roles/{role_id('member')}"),
    ):
        assert refused.status_code == 403
    assert boss.put(f"/groups/{own.id}/users/{there.demo_user_id}").status_code == 404
    assert not GroupMember.objects.exists()


def test_manager_is_not_told_what_there_is_outside(
    boss: Api, domain: Domain, there: Bootstrapped, admin: Api
) -> None:
    user = User.objects.create(name="own", domain=domain)
    role = role_id("member")
    for outside in (there.demo_user_id, "nobody"):
        for path in (f"/domains/{domain.id}/users/{outside}/roles", f"/system/users/{outside}/roles"):
            assert boss.get(path).status_code == boss.put(f"{path}/{role}").status_code == 403
    for outside in (there.demo_project_id, "nowhere"):
        assert boss.get(f"/projects/{outside}/users/{user.id}/roles/{role}").status_code == 403
        body = {"user": {"default_project_id": outside}}
        answer = boss.patch(f"/users/{user.id}", body)
        assert (answer.status_code, outside in answer.json()["error"]["message"]) == (400, True)
    own = Project.objects.create(name="own", domain=domain, parent_id=domain.id)
    assert boss.patch(f"/users/{user.id}", {"user": {"default_project_id": own.id}}).status_code == 200
    other = {"user": {"default_project_id": there.demo_project_id}}
    assert admin.patch(f"/users/{user.id}", other).status_code == 200
    assert admin.get(f"/domains/{domain.id}/users/nobody/roles").status_code == 404


def test_project_below_one_of_another_domain_is_refused(boss: Api, there: Bootstrapped) -> None:
    for parent in (there.demo_project_id, "nowhere"):
        answer = boss.post("/projects", {"project": {"name": "x", "parent_id": parent}})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith(f"There is no project {parent} in the domain ")
    assert not Project.objects.filter(name="x").exists()


@pytest.mark.parametrize("role", ["admin", "service", "auditor"])
def test_manager_gives_no_role_above_its_own(boss: Api, domain: Domain, role: str) -> None:
    Role.objects.get_or_create(name=role)
    user = User.objects.create(name="eve", domain=domain)
    path = f"/domains/{domain.id}/users/{user.id}/roles/{role_id(role)}"
    assert boss.put(path).status_code == 403
    RoleAssignment.objects.create(user=user, role=Role.objects.get(name=role), domain=domain)
    assert boss.delete(path).status_code == 403


def test_manager_gives_no_role_in_the_system(boss: Api, domain: Domain) -> None:
    user = User.objects.create(name="eve", domain=domain)
    assert boss.put(f"/system/users/{user.id}/roles/{role_id('reader')}").status_code == 403


@pytest.mark.parametrize("by", ["itself", "a group", "the system"])
def test_manager_does_not_touch_who_has_more_than_it_may_give(boss: Api, domain: Domain, by: str) -> None:
    user = User.objects.create(name="root", domain=domain)
    group = Group.objects.create(name="roots", domain=domain)
    admin, reader = Role.objects.get(name="admin"), Role.objects.get(name="reader")
    if by == "itself":
        RoleAssignment.objects.create(user=user, role=admin, domain_id="default")
    elif by == "a group":
        RoleAssignment.objects.create(group=group, role=admin, domain_id="default")
        GroupMember.objects.create(group=group, user=user)
    else:
        RoleAssignment.objects.create(user=user, role=reader, system=True)
    assert boss.patch(f"/users/{user.id}", {"user": {"password": "stolen"}}).status_code == 403
    assert boss.delete(f"/users/{user.id}").status_code == 403
    if by == "a group":
        other = User.objects.create(name="eve", domain=domain)
        assert boss.put(f"/groups/{group.id}/users/{other.id}").status_code == 403
        assert boss.delete(f"/groups/{group.id}").status_code == 403


def test_reader_of_a_domain_reads_it_and_writes_nothing(domain: Domain) -> None:
    api = scoped(holder(domain, "reader", domain=domain), {"domain": {"id": domain.id}})
    assert api.get("/users").status_code == 200
    for refused in (
        api.post("/users", {"user": {"name": "x"}}),
        api.post("/groups", {"group": {"name": "x"}}),
        api.post("/projects", {"project": {"name": "x"}}),
    ):
        assert refused.status_code == 403


def test_role_implies_what_an_admin_says(admin: Api, there: Bootstrapped) -> None:
    auditor = admin.post("/roles", {"role": {"name": "auditor"}}).json()["role"]["id"]
    path = f"/roles/{auditor}/implies/{role_id('reader')}"
    assert admin.send("HEAD", path).status_code == 404
    for _ in range(2):
        answer = admin.put(path)
        assert answer.status_code == 201
    assert answer.json()["role_inference"]["implies"]["name"] == "reader"
    assert admin.send("HEAD", path).status_code == 204
    assert admin.get(path).json()["role_inference"]["prior_role"]["name"] == "auditor"
    [implied] = admin.get(f"/roles/{auditor}/implies").json()["role_inference"]["implies"]
    assert implied["name"] == "reader"
    RoleAssignment.objects.filter(user=there.demo_user_id).update(role=auditor)
    answer = log_in("demo", DEMO_PASSWORD, scope={"project": {"id": there.demo_project_id}})
    assert {role["name"] for role in answer.json()["token"]["roles"]} == {"auditor", "reader"}
    rows = admin.get(f"/role_assignments?user.id={there.demo_user_id}&effective").json()["role_assignments"]
    assert len(rows) == 2
    assert admin.delete(path).status_code == 204
    assert Api(token_of(answer), IDENTITY).get("/auth/projects").status_code == 401
    assert admin.delete(path).status_code == 404


def test_inferences_are_listed_with_those_of_policies(admin: Api) -> None:
    rules = admin.get("/role_inferences").json()["role_inferences"]
    found = {rule["prior_role"]["name"]: [one["name"] for one in rule["implies"]] for rule in rules}
    assert found == {"admin": ["manager"], "manager": ["member"], "member": ["reader"]}
    path = f"/roles/{role_id('member')}/implies/{role_id('reader')}"
    assert admin.get(path).status_code == 200
    assert admin.put(path).status_code == 201
    assert admin.delete(path).status_code == 403


def test_nothing_implies_admin_and_only_admins_say(admin: Api, demo: Api) -> None:
    assert admin.put(f"/roles/{role_id('reader')}/implies/{role_id('admin')}").status_code == 403
    path = f"/roles/{role_id('reader')}/implies/{role_id('member')}"
    for refused in (demo.put(path), demo.delete(path), demo.get(path), demo.get("/role_inferences")):
        assert refused.status_code == 403
    assert admin.put(f"/roles/{role_id('reader')}/implies/none").status_code == 404


def test_roles_that_imply_each_other_come_to_an_end(admin: Api, there: Bootstrapped) -> None:
    one = admin.post("/roles", {"role": {"name": "one"}}).json()["role"]["id"]
    two = admin.post("/roles", {"role": {"name": "two"}}).json()["role"]["id"]
    admin.put(f"/roles/{one}/implies/{two}")
    admin.put(f"/roles/{two}/implies/{one}")
    RoleAssignment.objects.filter(user=there.demo_user_id).update(role=one)
    answer = log_in("demo", DEMO_PASSWORD, scope={"project": {"id": there.demo_project_id}})
    assert {role["name"] for role in answer.json()["token"]["roles"]} == {"one", "two"}


def test_tags_of_a_project(admin: Api, demo: Api, there: Bootstrapped) -> None:
    path = f"/projects/{there.demo_project_id}/tags"
    assert admin.put(path, {"tags": ["red", "blue"]}).json()["tags"] == ["red", "blue"]
    assert admin.put(f"{path}/green").status_code == 201
    assert demo.get(path).json()["tags"] == ["red", "blue", "green"]
    assert demo.send("HEAD", f"{path}/green").status_code == 204
    assert demo.send("HEAD", f"{path}/black").status_code == 404
    for query, names in {
        "tags=red,blue": {"demo"},
        "tags=red,black": set(),
        "tags-any=red,black": {"demo"},
        "not-tags=red,blue": {"admin", "service"},
        "not-tags-any=black,blue": {"admin", "service"},
    }.items():
        assert {row["name"] for row in admin.get(f"/projects?{query}").json()["projects"]} == names
    assert len(admin.get("/projects?not-tags-any=x&limit=2").json()["projects"]) == 2
    assert admin.delete(f"{path}/red").status_code == 204
    assert admin.delete(f"{path}/red").status_code == 404
    assert admin.delete(path).status_code == 204
    assert demo.get(path).json()["tags"] == []
    for wrong in ({"tags": ["a,b"]}, {"tags": [""]}, {"tags": "red"}, {}, {"tags": ["x"] * 81}):
        assert admin.put(path, wrong).status_code == 400
    assert admin.put(f"{path}/{'x' * 300}").status_code == 400
    for refused in (demo.put(path, {"tags": []}), demo.put(f"{path}/x"), demo.delete(path)):
        assert refused.status_code == 403


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name__contains=EM", {"demo"}),
        ("name__startswith=d", {"demo"}),
        ("name__iendswith=O", {"demo"}),
        ("name__contains=%25", set()),
        ("name__contains=e&name=admin", set()),
        ("domain_id=default&name__startswith=a", {"admin"}),
    ],
)
def test_users_and_projects_are_filtered_by_parts_of_names(admin: Api, query: str, names: set[str]) -> None:
    assert {row["name"] for row in admin.get(f"/users?{query}").json()["users"]} == names
    assert {row["name"] for row in admin.get(f"/projects?{query}").json()["projects"]} == names


@pytest.mark.parametrize(
    "query", ["name=nova", "name__contains=OV", "name__startswith=No", "name__iendswith=va"]
)
def test_services_are_filtered_by_parts_of_names(demo: Api, query: str) -> None:
    assert [row["type"] for row in demo.get(f"/services?{query}").json()["services"]] == ["compute"]
    assert demo.get("/services?name__contains=nothing").json()["services"] == []


@pytest.mark.parametrize("name", ["services", "endpoints", "regions"])
def test_catalog_is_not_written(admin: Api, demo: Api, name: str) -> None:
    [first, *_] = admin.get(f"/{name}").json()[name]
    for api, words in ((admin, "COMPUTECLOUD_PUBLIC_URL"), (demo, "admin")):
        for answer in (
            api.post(f"/{name}", {name[:-1]: {}}),
            api.patch(f"/{name}/{first['id']}", {name[:-1]: {}}),
            api.put(f"/{name}/{first['id']}"),
            api.delete(f"/{name}/{first['id']}"),
        ):
            assert answer.status_code == 403 and words in answer.json()["error"]["message"]
