"""Which hosts are told of a change, what each then reads, and that one which was down follows later."""

from uuid import uuid4

import pytest

from networking import selectors, surroundings
from networking.models import HostWiring, Port
from networking.services import (
    bind,
    create_group,
    create_port,
    create_rules,
    default_group,
    delete_rule,
    join_group,
    leave_group,
    plan,
    spreading,
    update_port,
)
from networking.services.groups import NewGroup
from networking.services.ports import NewPort
from networking.services.rules import NewRule
from tests.networking.conftest import a_network, a_subnet

HOSTS = ("host1", "host2", "host3")


@pytest.fixture(autouse=True)
def hosts(db):
    for number, host in enumerate(HOSTS):
        HostWiring.objects.create(host=host, underlay_ip=f"192.0.2.{number + 1}")


@pytest.fixture
def network(db, tenant):
    network = a_network(tenant, name="mine")
    a_subnet(tenant, network)
    return network


def told() -> set[str]:
    """Return who was told since the last call."""
    rows = [row.host for row in HostWiring.objects.all() if row.wanted != row.done]
    for row in HostWiring.objects.all():
        HostWiring.objects.filter(pk=row.pk).update(done=row.wanted)
    return set(rows)


def boot(tenant, network, host, *groups):
    instance_id = uuid4()
    planned = plan([{"uuid": str(network.id)}], tenant, security_groups=groups)
    [facts] = bind(instance_id, tenant.project_id, host, planned)
    return instance_id, facts


def test_a_rule_is_told_to_the_hosts_of_the_groups_ports_alone(tenant, network):
    group = create_group(NewGroup(name="web"), caller=tenant)
    boot(tenant, network, "host1", "web")
    boot(tenant, network, "host2")
    told()
    [rule] = create_rules([NewRule(group_id=group.pk, direction="ingress", protocol="tcp")], caller=tenant)
    assert told() == {"host1"}
    delete_rule(rule.pk, caller=tenant)
    assert told() == {"host1"}


def test_a_new_member_is_told_to_the_hosts_whose_rules_name_its_group(tenant, network):
    _, first = boot(tenant, network, "host1")
    second, _ = boot(tenant, network, "host2")
    told()
    spreading.wired(second)
    assert told() == {"host1"}
    around = surroundings.of([first], "host1")
    default = str(default_group(tenant.project_id))
    assert around.members[default] == ["10.0.0.3", "10.0.0.4"]
    assert around.peers == {first.network_id: ["192.0.2.2"]}


def test_the_first_port_of_a_network_on_a_host_is_told_to_its_other_hosts(tenant, admin, network):
    """The later ones of another group concern nobody else."""
    create_group(NewGroup(name="alone"), caller=tenant)
    boot(tenant, network, "host1", "alone")
    first, _ = boot(tenant, network, "host2", "alone")
    told()
    spreading.wired(first)
    assert told() == {"host1"}
    second, _ = boot(tenant, network, "host2", "alone")
    spreading.wired(second)
    assert told() == set()


def test_a_boot_tells_of_itself_by_one_statement(tenant, network, django_assert_num_queries):
    instance_id, _ = boot(tenant, network, "host1")
    with django_assert_num_queries(1):
        spreading.wired(instance_id)


def test_what_goes_is_told_before_it_goes(tenant, network):
    boot(tenant, network, "host1")
    gone, _ = boot(tenant, network, "host2")
    told()
    spreading.unwired(Port.objects.filter(instance_id=gone))
    assert told() == {"host1"}


def test_its_own_host_is_told_of_what_goes_for_the_sake_of_its_other_ports_alone(tenant, network):
    boot(tenant, network, "host1")
    second, _ = boot(tenant, network, "host1")
    alone, _ = boot(tenant, network, "host3", create_group(NewGroup(name="web"), caller=tenant).name)
    told()
    spreading.unwired(Port.objects.filter(instance_id=alone))
    assert told() == {"host1"}, "it shares their network"
    spreading.unwired(Port.objects.filter(instance_id=second))
    assert told() == {"host1", "host3"}
    Port.objects.exclude(instance_id=second).delete()
    spreading.unwired(Port.objects.filter(instance_id=second))
    assert told() == set()


def test_a_change_of_a_port_is_told_to_its_host_and_to_those_who_name_its_groups(tenant, network):
    group = create_group(NewGroup(name="web"), caller=tenant)
    instance_id, _ = boot(tenant, network, "host1")
    boot(tenant, network, "host2")
    boot(tenant, network, "host3", "web")
    port_id = Port.objects.get(instance_id=instance_id).pk
    told()
    update_port(port_id, {"name": "named"}, caller=tenant)
    assert told() == set()
    update_port(port_id, {"admin_state_up": False}, caller=tenant)
    assert "host1" in told()
    update_port(port_id, {"security_groups": [group.pk]}, caller=tenant)
    assert told() == {"host1", "host2"}
    assert surroundings.of(selectors.facts_of(instance_id), "host1").members == {}


def test_a_servers_ports_join_and_leave_a_group(tenant, network):
    create_group(NewGroup(name="web"), caller=tenant)
    instance_id, _ = boot(tenant, network, "host1")
    told()
    join_group(instance_id, tenant.project_id, "web")
    join_group(instance_id, tenant.project_id, "web")
    assert told() == {"host1"}
    assert len(selectors.facts_of(instance_id)[0].groups) == 2
    leave_group(instance_id, tenant.project_id, "web")
    assert told() == {"host1"}
    assert len(selectors.facts_of(instance_id)[0].groups) == 1


def test_a_hosts_look_around_takes_few_queries_however_many_ports_it_has(
    tenant, network, django_assert_max_num_queries
):
    for number in range(3):
        boot(tenant, network, HOSTS[number])
        create_port(NewPort(network_id=network.id), caller=tenant)
    ports = selectors.facts_on("host1")
    with django_assert_max_num_queries(5):
        surroundings.of(ports, "host1")
