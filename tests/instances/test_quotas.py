"""Quotas by the API: limits of projects, the defaults, what is used, and what is refused."""

import pytest

from identity.models import Domain, Project
from instances.models import Instance, KeyPair
from scheduling.models import GroupMember, ServerGroup
from tests.instances.conftest import a_server, refused
from tests.instances.test_create import KEY

NEW = {"instances", "cores", "ram", "key_pairs", "metadata_items", "server_groups", "server_group_members"}
FILES = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
NETWORKS = {"floating_ips", "fixed_ips", "security_groups", "security_group_rules"}
GROUPS = {"server_groups", "server_group_members"}


@pytest.fixture
def there(alice, bob):
    """Have the two tenants' projects be in Identity."""
    domain, _ = Domain.objects.get_or_create(id="default", defaults={"name": "Default"})
    for tenant in (alice, bob):
        Project.objects.create(id=tenant.project_id, name=tenant.project_id, domain=domain)


def path(tenant, more=""):
    return f"/os-quota-sets/{tenant.project_id}{more}"


def change(admin, tenant, **limits):
    return admin.put(path(tenant), {"quota_set": limits})


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("2.1", NEW | FILES | NETWORKS),
        ("2.35", NEW | FILES | NETWORKS),
        ("2.36", NEW | FILES),
        ("2.56", NEW | FILES),
        ("2.57", NEW),
        ("2.104", NEW),
    ],
)
def test_a_quota_set_has_the_keys_of_its_version(admin, bob, there, version, keys):
    asker = bob.at(version)
    for more in ("", "/defaults", "/detail"):
        found = asker.get(path(bob, more)).json()["quota_set"]
        assert set(found) == keys | {"id"}
        assert found["id"] == bob.project_id
    assert found["instances"] == {"in_use": 0, "limit": 10, "reserved": 0}
    answer = admin.at(version).put(path(bob), {"quota_set": dict.fromkeys(keys, 7)})
    assert answer.status_code == 200, answer.content
    assert answer.json() == {"quota_set": dict.fromkeys(keys, 7)}
    assert asker.get(path(bob)).json()["quota_set"] == dict.fromkeys(keys, 7) | {"id": bob.project_id}


@pytest.mark.parametrize(
    ("version", "key"),
    [("2.36", "fixed_ips"), ("2.57", "injected_files"), ("2.1", "disk"), ("2.1", "ram_mib")],
)
def test_a_key_that_the_version_does_not_have_is_refused(admin, bob, there, version, key):
    assert key in refused(admin.at(version).put(path(bob), {"quota_set": {key: 1}}), 400)


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("2.1", NEW - GROUPS | FILES | NETWORKS),
        ("2.49", NEW - GROUPS | FILES | NETWORKS),
        ("2.50", NEW | FILES),
        ("2.57", NEW),
    ],
)
def test_the_defaults_have_the_keys_of_their_version_and_count_for_everybody(admin, bob, version, keys):
    asker = admin.at(version)
    assert set(asker.get("/os-quota-class-sets/default").json()["quota_class_set"]) == keys | {"id"}
    changed = asker.put("/os-quota-class-sets/default", {"quota_class_set": {"cores": 5}})
    assert changed.status_code == 200, changed.content
    assert set(changed.json()["quota_class_set"]) == keys
    assert changed.json()["quota_class_set"]["cores"] == 5
    assert bob.get(path(bob)).json()["quota_set"]["cores"] == 5
    assert bob.get(path(bob, "/defaults")).json()["quota_set"]["cores"] == 5
    assert bob.get("/limits").json()["limits"]["absolute"]["maxTotalCores"] == 5


@pytest.mark.parametrize(
    "given", [{"cores": -2}, {"cores": "x"}, {"cores": None}, {"cores": 2**31}, {"fixed_ips": 1}, {"x": 1}]
)
def test_defaults_that_make_no_sense_are_refused(admin, bob, there, given):
    refused(admin.put("/os-quota-class-sets/default", {"quota_class_set": given}), 400)
    refused(admin.put(path(bob), {"quota_set": given}), 400)


@pytest.mark.parametrize("body", [{}, {"quota_set": {}, "more": 1}, {"quota_set": []}, [], {"quota": {}}])
def test_a_body_that_is_none_is_refused(admin, bob, there, body):
    refused(admin.put(path(bob), body), 400)


def test_there_is_one_class(admin):
    assert refused(admin.get("/os-quota-class-sets/gold"), 404) == "Quota class gold could not be found."
    refused(admin.put("/os-quota-class-sets/gold", {"quota_class_set": {"cores": 1}}), 404)


def test_a_limit_is_not_set_below_what_is_used_but_by_force(admin, bob, there, body):
    assert bob.post("/servers", body).status_code == 202
    words = refused(change(admin, bob, instances=0), 400)
    assert words == (
        "Quota limit 0 for instances must be greater than or equal to already used and reserved 1."
    )
    assert bob.get(path(bob)).json()["quota_set"]["instances"] == 10
    assert change(admin, bob, instances=0, force="True").json()["quota_set"]["instances"] == 0
    assert "Quota exceeded for instances" in refused(bob.post("/servers", body), 403)
    assert bob.get(path(bob, "/detail")).json()["quota_set"]["instances"] == {
        "in_use": 1,
        "limit": 0,
        "reserved": 0,
    }


def test_a_project_goes_back_to_the_defaults(admin, bob, there):
    change(admin, bob, instances=3, key_pairs="4")
    assert admin.delete(path(bob)).status_code == 202
    found = bob.get(path(bob)).json()["quota_set"]
    assert (found["instances"], found["key_pairs"]) == (10, 100)
    assert admin.delete("/os-quota-sets/nobody").status_code == 202


def test_quotas_of_one_user_are_the_project_s_to_read_and_refused_to_change(admin, bob, there):
    change(admin, bob, ram=4_096)
    mine = path(bob, f"?user_id={bob.user_id}")
    assert bob.get(mine).json()["quota_set"]["ram"] == 4_096
    assert bob.get(path(bob, f"/detail?user_id={bob.user_id}")).json()["quota_set"]["ram"]["limit"] == 4_096
    assert "single users" in refused(admin.put(mine, {"quota_set": {"ram": 1}}), 400)
    assert "single users" in refused(admin.delete(mine), 400)
    assert bob.get(path(bob)).json()["quota_set"]["ram"] == 4_096


def test_a_query_that_means_nothing_is_refused_since_2_75(admin, bob, there):
    refused(bob.get(path(bob, "?nonsense=1")), 400)
    assert bob.at("2.74").get(path(bob, "?nonsense=1")).status_code == 200
    refused(bob.get(path(bob, "/defaults?nonsense=1")), 400)


def test_another_project_s_quotas_are_an_admin_s(alice, bob, reader, admin, there):
    for more in ("", "/detail"):
        assert "os-quota-sets" in refused(bob.get(path(alice, more)), 403)
        assert "os-quota-sets" in refused(bob.get(f"/os-quota-sets/nobody{more}"), 403)
        assert reader.get(path(alice, more)).status_code == 200
        assert admin.get(path(alice, more)).status_code == 200
    refused(alice.put(path(alice), {"quota_set": {"cores": 1}}), 403)
    refused(alice.delete(path(alice)), 403)
    refused(alice.get("/os-quota-class-sets/default"), 403)
    refused(alice.put("/os-quota-class-sets/default", {"quota_class_set": {"cores": 1}}), 403)
    assert bob.get(path(alice, "/defaults")).status_code == 200


def test_a_project_that_is_not_there_is_refused_to_admins(admin):
    for answer in (
        admin.get("/os-quota-sets/nobody"),
        admin.get("/os-quota-sets/nobody/detail"),
        admin.get("/os-quota-sets/nobody/defaults"),
        admin.put("/os-quota-sets/nobody", {"quota_set": {"cores": 1}}),
    ):
        assert refused(answer, 400) == "Project ID nobody is not a valid project."


def test_key_pairs_stop_at_the_limit_of_the_project(admin, bob, there):
    change(admin, bob, key_pairs=1)
    body = {"keypair": {"name": "k", "public_key": KEY}}
    assert bob.post("/os-keypairs", body).status_code == 201
    another = {"keypair": {"name": "other", "public_key": KEY}}
    assert refused(bob.post("/os-keypairs", another), 403) == "Quota exceeded, too many key pairs."
    assert bob.delete("/os-keypairs/k").status_code == 204
    assert bob.post("/os-keypairs", another).status_code == 201
    assert KeyPair.objects.count() == 1


def test_server_groups_stop_at_the_limit_and_are_given_back(admin, bob, there):
    change(admin, bob, server_groups=1)
    body = {"server_group": {"name": "web", "policy": "affinity"}}
    made = bob.post("/os-server-groups", body).json()["server_group"]["id"]
    assert refused(bob.post("/os-server-groups", body), 403) == "Quota exceeded, too many server groups."
    assert ServerGroup.objects.count() == 1
    shown = bob.get(path(bob, "/detail")).json()["quota_set"]["server_groups"]
    assert shown == {"in_use": 1, "limit": 1, "reserved": 0}
    assert bob.get("/limits").json()["limits"]["absolute"]["totalServerGroupsUsed"] == 1
    assert "server_groups" in refused(change(admin, bob, server_groups=0), 400)
    assert bob.delete(f"/os-server-groups/{made}").status_code == 204
    assert bob.post("/os-server-groups", body).status_code == 200


def test_members_of_a_group_stop_at_the_limit(admin, bob, there, body):
    change(admin, bob, server_group_members=1)
    group = bob.post("/os-server-groups", {"server_group": {"name": "web", "policy": "affinity"}})
    hint = {"os:scheduler_hints": {"group": group.json()["server_group"]["id"]}}
    assert bob.post("/servers", body | hint).status_code == 202
    words = refused(bob.post("/servers", body | hint), 403)
    assert words == "Quota exceeded, too many servers in group"
    assert (Instance.objects.count(), GroupMember.objects.count()) == (1, 1)
    assert bob.get(path(bob, "/detail")).json()["quota_set"]["instances"]["in_use"] == 1


def test_metadata_stops_at_the_limit_when_a_server_is_made_and_after(admin, bob, there, body):
    change(admin, bob, metadata_items=1)
    body["server"]["metadata"] = {"a": "1", "b": "2"}
    words = "Maximum number of metadata items exceeds 1"
    assert refused(bob.post("/servers", body), 403) == words
    del body["server"]["metadata"]["b"]
    assert bob.post("/servers", body).status_code == 202
    server = a_server(bob, metadata={"a": "1"}).id
    assert refused(bob.post(f"/servers/{server}/metadata", {"metadata": {"b": "2"}}), 403) == words
    assert bob.post(f"/servers/{server}/metadata", {"metadata": {"a": "2"}}).status_code == 200
    change(admin, bob, metadata_items=200)
    many = {f"k{number}": "v" for number in range(150)}
    assert bob.put(f"/servers/{server}/metadata", {"metadata": many}).status_code == 200


def test_limits_and_quotas_say_the_same(admin, bob, there):
    change(admin, bob, instances=7, key_pairs=8, metadata_items=9, server_groups=11, server_group_members=12)
    absolute = bob.get("/limits").json()["limits"]["absolute"]
    assert {
        *(
            "maxTotalInstances",
            "maxTotalKeypairs",
            "maxServerMeta",
            "maxServerGroups",
            "maxServerGroupMembers",
        )
    } <= set(absolute)
    assert absolute["maxTotalInstances"] == 7
    assert (absolute["maxTotalKeypairs"], absolute["maxServerMeta"]) == (8, 9)
    assert (absolute["maxServerGroups"], absolute["maxServerGroupMembers"]) == (11, 12)


def test_a_quota_costs_the_same_few_queries(bob, django_assert_max_num_queries):
    for more in ("", "/detail", "/defaults"):
        with django_assert_max_num_queries(2):
            bob.get(path(bob, more))
    with django_assert_max_num_queries(2):
        bob.get("/limits")
