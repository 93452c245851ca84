"""The security groups of a server: named when it is made, added, removed and listed."""

from uuid import uuid4

import pytest

from networking.models import PortGroup
from networking.services import bind, create_group, plan
from networking.services.groups import NewGroup
from tests.instances.conftest import a_server, refused
from tests.networking.conftest import a_network, a_subnet


@pytest.fixture
def wired(alice):
    """Return a server of alice's with a port in her default group; she has a group `web` beside it."""
    network = a_network(alice.caller)
    a_subnet(alice.caller, network)
    create_group(NewGroup(name="web"), caller=alice.caller)
    instance = a_server(alice, "active", host="h1", node="n1")
    bind(instance.id, instance.project_id, "h1", plan(None, alice.caller))
    return instance


def act(tenant, instance, key, name):
    return tenant.post(f"/servers/{instance.id}/action", {key: {"name": name}})


def names(tenant, instance) -> list[str]:
    answer = tenant.get(f"/servers/{instance.id}/os-security-groups")
    assert answer.status_code == 200
    return [group["name"] for group in answer.json()["security_groups"]]


def test_a_group_is_added_and_removed_and_the_server_shows_it(alice, wired):
    assert names(alice, wired) == ["default"]
    answer = act(alice, wired, "addSecurityGroup", "web")
    assert (answer.status_code, answer.content) == (202, b"")
    assert names(alice, wired) == ["default", "web"]
    shown = alice.get(f"/servers/{wired.id}").json()["server"]["security_groups"]
    assert shown == [{"name": "default"}, {"name": "web"}]
    assert act(alice, wired, "removeSecurityGroup", "default").status_code == 202
    assert names(alice, wired) == ["web"]
    assert act(alice, wired, "removeSecurityGroup", "web").status_code == 202
    assert "security_groups" not in alice.get(f"/servers/{wired.id}").json()["server"]  # as in Nova


def test_rules_are_shown_in_the_compute_apis_form(alice, wired):
    [group] = alice.get(f"/servers/{wired.id}/os-security-groups").json()["security_groups"]
    assert group.keys() == {"id", "name", "description", "tenant_id", "rules"}
    rule = group["rules"][0]
    assert rule["group"] == {"name": "default", "tenant_id": wired.project_id}
    assert (rule["parent_group_id"], rule["ip_range"], rule["ip_protocol"]) == (group["id"], {}, None)


@pytest.mark.parametrize(
    ("key", "name", "status", "words"),
    [
        ("addSecurityGroup", "strangers", 404, "Security group strangers not found for project"),
        ("removeSecurityGroup", "strangers", 404, "Security group strangers not found for project"),
        ("removeSecurityGroup", "web", 404, "Security group web not associated with the instance"),
        ("addSecurityGroup", "", 400, "name"),
        ("addSecurityGroup", 5, 400, "name"),
        ("addSecurityGroup", "x" * 256, 400, "name"),
    ],
)
def test_a_wrong_group_is_refused_and_changes_nothing(alice, wired, key, name, status, words):
    assert words in refused(act(alice, wired, key, name), status)
    assert PortGroup.objects.count() == 1


def test_a_server_without_ports_takes_no_group(alice):
    create_group(NewGroup(name="web"), caller=alice.caller)
    instance = a_server(alice, "active", host="h1", node="n1")
    message = refused(act(alice, instance, "addSecurityGroup", "web"), 400)
    assert "port_security_enabled" in message


def test_another_tenants_server_and_group_do_not_exist(alice, bob, wired):
    assert bob.get(f"/servers/{wired.id}/os-security-groups").status_code == 404
    refused(act(bob, wired, "addSecurityGroup", "default"), 404)
    group = create_group(NewGroup(name="bobs"), caller=bob.caller)
    refused(act(alice, wired, "addSecurityGroup", str(group.pk)), 404)


def test_a_reader_lists_and_changes_nothing(reader, wired):
    assert names(reader, wired) == ["default"]
    refused(act(reader, wired, "addSecurityGroup", "web"), 403)


def test_a_server_that_is_asked_for_with_groups_gets_them(alice, wired, body):
    network = str(plan(None, alice.caller)[0].network_id)
    body["server"] |= {"security_groups": [{"name": "web"}], "networks": [{"uuid": network}]}
    answer = alice.post("/servers", body)
    assert answer.json()["server"]["security_groups"] == [{"name": "web"}]
    body["server"]["security_groups"] = [{"name": str(uuid4())}]
    assert "not found for project" in refused(alice.post("/servers", body), 400)
