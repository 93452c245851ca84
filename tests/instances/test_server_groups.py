"""The API of server groups, and servers that are made in one or where an admin or a hint says."""

import uuid

import pytest

from instances.models import Instance
from instances.workflows.create import place_request
from instances.workflows.delete import give_back
from scheduling import report
from scheduling.models import GroupMember, ServerGroup
from tests.instances.conftest import refused
from tests.scheduling.conftest import facts
from workers.models import Host, Operation
from workers.undoing import context_of


def group_body(**changes):
    return {"server_group": {"name": "web", "policy": "anti-affinity"} | changes}


def make(tenant, **changes):
    answer = tenant.post("/os-server-groups", group_body(**changes))
    assert answer.status_code == 200, answer.content
    return answer.json()["server_group"]


def test_a_group_is_made_shown_listed_and_removed(alice):
    made = make(alice, rules={"max_server_per_host": 3})
    assert made == {
        "id": made["id"],
        "name": "web",
        "members": [],
        "policy": "anti-affinity",
        "rules": {"max_server_per_host": 3},
        "project_id": alice.project_id,
        "user_id": alice.user_id,
    }
    assert alice.get(f"/os-server-groups/{made['id']}").json() == {"server_group": made}
    assert alice.get("/os-server-groups").json() == {"server_groups": [made]}
    assert alice.delete(f"/os-server-groups/{made['id']}").status_code == 204
    refused(alice.get(f"/os-server-groups/{made['id']}"), 404)
    refused(alice.delete(f"/os-server-groups/{made['id']}"), 404)


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("2.1", "id name members metadata policies"),
        ("2.12", "id name members metadata policies"),
        ("2.13", "id name members metadata policies project_id user_id"),
        ("2.63", "id name members metadata policies project_id user_id"),
        ("2.64", "id name members policy rules project_id user_id"),
    ],
)
def test_a_group_has_the_keys_of_its_version(alice, version, keys):
    made = make(alice)
    shown = alice.at(version).get(f"/os-server-groups/{made['id']}").json()["server_group"]
    assert set(shown) == set(keys.split())
    if "policies" in shown:
        assert (shown["policies"], shown["metadata"]) == (["anti-affinity"], {})


@pytest.mark.parametrize(
    ("version", "given"),
    [
        ("2.1", {"policies": ["affinity"]}),
        ("2.15", {"policies": ["soft-affinity"]}),
        ("2.64", {"policy": "soft-anti-affinity"}),
        ("2.64", {"policy": "affinity", "rules": {}}),
    ],
)
def test_every_version_takes_its_own_form(alice, version, given):
    answer = alice.at(version).post("/os-server-groups", {"server_group": {"name": "web"} | given})
    assert answer.status_code == 200, answer.content


@pytest.mark.parametrize(
    ("version", "given"),
    [
        ("2.1", {}),
        ("2.1", {"policies": []}),
        ("2.1", {"policies": ["affinity", "anti-affinity"]}),
        ("2.1", {"policies": ["legacy"]}),
        ("2.1", {"policy": "affinity"}),
        ("2.14", {"policies": ["soft-affinity"]}),
        ("2.64", {}),
        ("2.64", {"policies": ["affinity"]}),
        ("2.64", {"policy": ["affinity"]}),
        ("2.64", {"policy": "affinity", "rules": {"max_server_per_host": 2}}),
        ("2.64", {"policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        ("2.64", {"policy": "anti-affinity", "rules": {"more": 2}}),
        ("2.64", {"policy": "anti-affinity", "name": ""}),
        ("2.64", {"policy": "anti-affinity", "name": "x" * 256}),
        ("2.64", {"policy": "anti-affinity", "name": "a\x01"}),
    ],
)
def test_a_group_that_makes_no_sense_is_refused(alice, version, given):
    refused(alice.at(version).post("/os-server-groups", {"server_group": {"name": "web"} | given}), 400)
    assert ServerGroup.objects.count() == 0


def test_an_eleventh_group_is_over_the_quota(alice):
    for _ in range(10):
        make(alice)
    words = refused(alice.post("/os-server-groups", group_body()), 403)
    assert words == "Quota exceeded, too many server groups."
    assert ServerGroup.objects.count() == 10


def test_groups_are_a_projects_own(alice, bob, reader, admin):
    made = make(alice)
    path = f"/os-server-groups/{made['id']}"
    assert refused(bob.get(path), 404) == f"Instance group {made['id']} could not be found."
    refused(bob.delete(path), 404)
    assert bob.get("/os-server-groups?all_projects=1").json() == {"server_groups": []}
    assert reader.get(path).status_code == 200
    refused(reader.post("/os-server-groups", group_body()), 403)
    refused(reader.delete(path), 403)
    assert admin.get("/os-server-groups").json() == {"server_groups": []}
    assert len(admin.get("/os-server-groups?all_projects=True").json()["server_groups"]) == 1


def test_groups_are_listed_in_parts_and_at_one_cost(alice, django_assert_max_num_queries):
    ids = [make(alice)["id"] for _ in range(5)]
    for group_id in ids:
        GroupMember.objects.create(group_id=group_id, consumer_id=uuid.uuid4(), user_id="u")
    found = alice.get("/os-server-groups?limit=2&offset=1").json()["server_groups"]
    assert [one["id"] for one in found] == ids[1:3]
    with django_assert_max_num_queries(3):
        alice.get("/os-server-groups")
    refused(alice.get("/os-server-groups?limit=x"), 400)
    refused(alice.get("/os-server-groups?nonsense=1"), 400)


@pytest.mark.parametrize("key", ["os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"])
def test_a_server_made_in_a_group_is_its_member_until_it_is_gone(alice, body, key):
    group_id = make(alice)["id"]
    answer = alice.post("/servers", body | {key: {"group": group_id}})
    assert answer.status_code == 202, answer.content
    server_id = answer.json()["server"]["id"]
    path = f"/os-server-groups/{group_id}"
    assert alice.get(path).json()["server_group"]["members"] == [server_id]
    assert alice.get(f"/servers/{server_id}").json()["server"]["server_groups"] == [group_id]
    operation = Operation.objects.get()
    wanted = place_request(context_of(operation, ""))
    assert str(wanted.group_id) == group_id
    give_back(context_of(operation, ""), {})
    assert alice.get(path).json()["server_group"]["members"] == []
    assert alice.get(f"/servers/{server_id}").json()["server"]["server_groups"] == []


def test_a_user_has_ten_servers_in_a_group(alice, body):
    group_id = make(alice)["id"]
    body["server"] |= {"min_count": 11}
    words = refused(alice.post("/servers", body | {"os:scheduler_hints": {"group": group_id}}), 403)
    assert words == "Quota exceeded, too many servers in group"
    assert Instance.objects.count() == GroupMember.objects.count() == Operation.objects.count() == 0


def test_another_projects_group_is_not_found(alice, bob, body):
    group_id = make(alice)["id"]
    words = refused(bob.post("/servers", body | {"os:scheduler_hints": {"group": group_id}}), 400)
    assert words == f"Instance group {group_id} could not be found."


SERVER_ID = str(uuid.uuid4())


@pytest.mark.parametrize(
    "hints",
    [
        {"same_host": SERVER_ID},
        {"different_host": [SERVER_ID, SERVER_ID]},
        {"build_near_host_ip": "10.0.0.1"},
        {"build_near_host_ip": "fd00::1", "cidr": "/64"},
        {"query": '[">=","$free_ram_mb",1024]'},
        {"query": [">=", "$free_ram_mb", 1024]},
        {"target_cell": "x", "mine": {"a": [1]}},
        {},
    ],
)
def test_hints_are_taken_shown_and_understood(alice, body, hints):
    answer = alice.post("/servers", body | {"os:scheduler_hints": hints})
    assert answer.status_code == 202, answer.content
    shown = alice.get(f"/servers/{answer.json()['server']['id']}").json()["server"]
    assert shown["scheduler_hints"] == hints
    wanted = place_request(context_of(Operation.objects.get(), ""))
    assert bool(wanted.same_host) == ("same_host" in hints)
    assert bool(wanted.query) == ("query" in hints)
    if "build_near_host_ip" in hints:
        assert wanted.near in ("10.0.0.0/24", "fd00::/64")


@pytest.mark.parametrize(
    "hints",
    [
        {"group": "x"},
        {"group": 1},
        {"same_host": "x"},
        {"same_host": [1]},
        {"same_host": [SERVER_ID] * 65},
        {"different_host": {"a": 1}},
        {"build_near_host_ip": "nowhere"},
        {"build_near_host_ip": "10.0.0.1", "cidr": "24"},
        {"build_near_host_ip": "10.0.0.1", "cidr": "/64"},
        {"cidr": 24},
        {"query": "["},
        {"query": {"a": 1}},
        {"query": "[" * 5_000},
        {"much": "x" * 20_000},
        [],
        "group",
    ],
    ids=range(16),
)
def test_hints_that_make_no_sense_are_refused(alice, body, hints):
    refused(alice.post("/servers", body | {"os:scheduler_hints": hints}), 400)
    assert Operation.objects.count() == 0


@pytest.fixture
def host(db):
    host = Host.objects.create(name="h1", alive=True)
    report.write(host, (facts("n1"),))
    return host


@pytest.mark.parametrize(
    ("zone", "found"),
    [
        ("nova", ("nova", "", "", False)),
        ("nova:h1", ("nova", "h1", "", True)),
        ("nova:h1:n1", ("nova", "h1", "n1", True)),
        ("nova::n1", ("nova", "", "n1", True)),
    ],
)
def test_an_admin_forces_a_host_or_node_in_the_zone(admin, body, host, zone, found):
    body["server"]["availability_zone"] = zone
    answer = admin.post("/servers", body)
    assert answer.status_code == 202, answer.content
    wanted = place_request(context_of(Operation.objects.get(), ""))
    assert (wanted.zone, wanted.host, wanted.node, wanted.forced) == found
    assert Instance.objects.get().pinned_zone == "nova"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"host": "h1"}, ("h1", "")),
        ({"hypervisor_hostname": "n1"}, ("", "n1")),
        ({"host": "h1", "hypervisor_hostname": "n1"}, ("h1", "n1")),
    ],
)
def test_a_host_that_an_admin_asks_for_goes_through_the_filters(admin, body, host, change, found):
    body["server"] |= change
    assert admin.post("/servers", body).status_code == 202
    wanted = place_request(context_of(Operation.objects.get(), ""))
    assert (wanted.host, wanted.node, wanted.forced) == (*found, False)


@pytest.mark.parametrize(
    "change",
    [
        {"availability_zone": "nova:h1:n1:x"},
        {"availability_zone": "nova:nowhere"},
        {"availability_zone": "nova::nowhere"},
        {"availability_zone": "nova:h1", "host": "h1"},
        {"hypervisor_hostname": "nowhere"},
        {"host": "a b"},
    ],
)
def test_a_destination_that_is_none_is_refused(admin, body, host, change):
    body["server"] |= change
    refused(admin.post("/servers", body), 400)
    assert Operation.objects.count() == 0


def test_a_server_is_pinned_to_its_zone_and_let_go(alice, server):
    instance = server(availability_zone="west")
    path = f"/servers/{instance.id}"

    def pin(zone):
        return alice.put(path, {"server": {"pinned_availability_zone": zone}})

    assert pin("west").json()["server"]["pinned_availability_zone"] == "west"
    refused(pin("east"), 409)
    assert pin(None).json()["server"]["pinned_availability_zone"] is None
    refused(alice.at("2.103").put(path, {"server": {"pinned_availability_zone": None}}), 400)
    refused(pin(""), 400)
    refused(pin(1), 400)
