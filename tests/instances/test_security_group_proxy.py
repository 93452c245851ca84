"""os-security-groups and os-security-group-rules, until version 2.35."""

from uuid import uuid4

import pytest

from networking.models import SecurityGroupRule
from networking.services import bind, plan
from tests.instances.conftest import a_server, refused
from tests.networking.conftest import a_network, a_subnet

GROUPS, RULES = "/os-security-groups", "/os-security-group-rules"


@pytest.fixture
def old(alice):
    return alice.at("2.35")


def made(tenant, name="web"):
    answer = tenant.post(GROUPS, {"security_group": {"name": name, "description": "words"}})
    assert answer.status_code == 200, answer.content
    return answer.json()["security_group"]


@pytest.fixture
def group(old):
    return made(old)


def rule(tenant, group, **fields):
    return tenant.post(RULES, {"security_group_rule": {"parent_group_id": group["id"], **fields}})


def test_a_group_is_made_listed_changed_and_deleted(old, alice):
    group = made(old)
    assert group == {
        "id": group["id"],
        "name": "web",
        "description": "words",
        "tenant_id": alice.project_id,
        "rules": [],
    }
    path = f"{GROUPS}/{group['id']}"
    assert old.get(path).json()["security_group"] == group
    assert [one["name"] for one in old.get(GROUPS).json()["security_groups"]] == ["default", "web"]
    assert [one["name"] for one in old.get(f"{GROUPS}?limit=1&offset=1").json()["security_groups"]] == ["web"]
    changed = old.put(path, {"security_group": {"name": "new", "description": "other"}})
    assert (changed.status_code, changed.json()["security_group"]["name"]) == (200, "new")
    assert old.delete(path).status_code == 202
    refused(old.get(path), 404)


def test_rules_are_added_and_removed(old, group):
    answer = rule(old, group, ip_protocol="tcp", from_port=22, to_port="22", cidr="10.0.0.0/8")
    assert answer.status_code == 200, answer.content
    ssh = answer.json()["security_group_rule"]
    assert ssh == {
        "id": ssh["id"],
        "parent_group_id": group["id"],
        "ip_protocol": "tcp",
        "from_port": 22,
        "to_port": 22,
        "group": {},
        "ip_range": {"cidr": "10.0.0.0/8"},
    }
    ping = rule(old, group, ip_protocol="icmp", from_port=-1, to_port=-1).json()["security_group_rule"]
    assert (ping["from_port"], ping["to_port"], ping["ip_range"]) == (-1, -1, {"cidr": "0.0.0.0/0"})
    six = rule(old, group, ip_protocol="udp", from_port=1, to_port=9, cidr="fd00::/8").json()
    assert six["security_group_rule"]["ip_range"] == {"cidr": "fd00::/8"}
    rules = old.get(f"{GROUPS}/{group['id']}").json()["security_group"]["rules"]
    assert len(rules) == 3 and ssh in rules
    assert old.delete(f"{RULES}/{ssh['id']}").status_code == 202
    refused(old.delete(f"{RULES}/{ssh['id']}"), 404)
    refused(old.delete(f"{RULES}/none"), 404)


def test_a_rule_from_a_group_goes_with_it_and_may_leave_ports_away(old, alice, group):
    peer = made(old, "peer")
    shown = rule(old, group, group_id=peer["id"]).json()["security_group_rule"]
    assert (shown["group"], shown["ip_range"]) == ({"name": "peer", "tenant_id": alice.project_id}, {})
    assert rule(old, group, group_id=peer["id"], ip_protocol="tcp").status_code == 200
    assert old.delete(f"{GROUPS}/{peer['id']}").status_code == 202
    assert old.get(f"{GROUPS}/{group['id']}").json()["security_group"]["rules"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"ip_protocol": "tcp"},
        {"ip_protocol": "tcp", "from_port": 22},
        {"ip_protocol": "tcp", "from_port": 23, "to_port": 22},
        {"ip_protocol": "tcp", "from_port": -1, "to_port": -1},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 65_536},
        {"ip_protocol": "tcp", "from_port": "x", "to_port": 22},
        {"ip_protocol": "sctp", "from_port": 1, "to_port": 2},
        {"ip_protocol": "icmp", "from_port": 256, "to_port": 0},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "ten"},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 2, "parent_group_id": "none"},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 2, "group_id": "none"},
    ],
)
def test_a_wrong_rule_is_400_and_leaves_nothing(old, group, fields):
    before = SecurityGroupRule.objects.count()
    refused(rule(old, group, **fields), 400)
    assert SecurityGroupRule.objects.count() == before


def test_conflicts_of_the_network_api_are_400_here(old, alice, group):
    same = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22}
    assert rule(old, group, **same).status_code == 200
    assert "already exists" in refused(rule(old, group, **same), 400)
    refused(old.post(GROUPS, {"security_group": {"name": "default"}}), 400)
    [default] = [one for one in old.get(GROUPS).json()["security_groups"] if one["name"] == "default"]
    refused(old.delete(f"{GROUPS}/{default['id']}"), 400)
    network = a_network(alice.caller)
    a_subnet(alice.caller, network)
    instance = a_server(alice, "active", host="h1", node="n1")
    bind(instance.id, instance.project_id, "h1", plan(None, alice.caller, security_groups=["web"]))
    refused(old.delete(f"{GROUPS}/{group['id']}"), 400)


def test_what_is_not_there_is_404_and_what_cannot_be_400(old, group):
    none = str(uuid4())
    same = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22}
    refused(rule(old, {"id": none}, **same), 404)
    refused(rule(old, group, **same, group_id=none), 404)
    refused(old.get(f"{GROUPS}/{none}"), 404)
    refused(old.delete(f"{GROUPS}/{none}"), 404)
    refused(old.get(f"{GROUPS}/none"), 400)


def test_others_groups_are_an_admin_s_who_asks_for_them(old, bob, admin, reader, group):
    path = f"{GROUPS}/{group['id']}"
    refused(bob.at("2.35").get(path), 404)
    refused(bob.at("2.35").delete(path), 404)
    assert group not in bob.at("2.35").get(f"{GROUPS}?all_tenants=true").json()["security_groups"]
    assert group not in admin.at("2.35").get(GROUPS).json()["security_groups"]
    assert group in admin.at("2.35").get(f"{GROUPS}?all_tenants=true").json()["security_groups"]
    assert group in reader.at("2.35").get(GROUPS).json()["security_groups"]
    refused(reader.at("2.35").delete(path), 403)
    refused(reader.at("2.35").post(GROUPS, {"security_group": {"name": "x"}}), 403)


def test_they_are_gone_in_2_36(alice, group):
    newer = alice.at("2.36")
    refused(newer.get(GROUPS), 404)
    refused(newer.post(GROUPS, {"security_group": {"name": "x"}}), 404)
    refused(newer.get(f"{GROUPS}/{group['id']}"), 404)
    refused(newer.delete(f"{GROUPS}/{group['id']}"), 404)
    refused(rule(newer, group, ip_protocol="tcp", from_port=22, to_port=22), 404)
    refused(newer.delete(f"{RULES}/{uuid4()}"), 404)
