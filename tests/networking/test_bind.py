"""An instance's ports: bound once however often it is asked, and let go without a trace."""

import dataclasses
import json
import threading
from uuid import uuid4

import pytest
from django.db import connections

from computecloud.wire.errors import Conflict
from networking import selectors
from networking.errors import NetworkNotFound, PortInUse, PortNotFound
from networking.facts import PlannedNic, PortFacts
from networking.models import Port, PortAddress
from networking.services import WantedIp, bind, create_port, facts_of, mark_wired, unbind
from networking.services.ports import NewPort
from tests.networking.conftest import a_caller, a_network, a_subnet


@pytest.fixture
def nic(network, subnet) -> PlannedNic:
    return PlannedNic(str(network.id))


def test_binding_gives_all_that_host_driver_and_config_drive_need(tenant, network, subnet, nic, instance_id):
    [facts] = bind(instance_id, tenant.project_id, "host1", [nic])
    assert facts.made_by_us
    assert facts.network_name == "mine"
    assert facts.fixed_ips[0].address == "10.0.0.3"
    assert facts.fixed_ips[0].gateway == "10.0.0.1"
    assert (facts.mtu, facts.network.subnets[0].dhcp_address) == (1450, "10.0.0.2")
    assert all(
        len(name) <= 15 for name in (facts.tap, facts.bridge, facts.network.veth, facts.network.namespace)
    )
    assert len({facts.tap, facts.bridge, facts.network.veth, facts.network.namespace}) == 4
    assert facts.tap[:5] == facts.bridge[:5] == "cc" + facts.network.tag
    assert PortFacts.from_json(json.loads(json.dumps(dataclasses.asdict(facts)))) == facts


def test_binding_twice_changes_nothing(tenant, nic, instance_id):
    first = bind(instance_id, tenant.project_id, "host1", [nic, nic])
    assert bind(instance_id, tenant.project_id, "host1", [nic, nic]) == first == facts_of(instance_id)
    assert Port.objects.filter(instance_id=instance_id).count() == 2
    assert PortAddress.objects.filter(port__instance_id=instance_id).count() == 2


def test_binding_elsewhere_moves_the_ports_with_their_addresses(tenant, nic, instance_id):
    first = bind(instance_id, tenant.project_id, "host1", [nic])
    mark_wired(instance_id)
    assert bind(instance_id, tenant.project_id, "host2", [nic]) == first
    assert Port.objects.get(instance_id=instance_id).host == "host2"
    assert Port.objects.get(instance_id=instance_id).status == "BUILD"


def test_binding_finishes_what_was_begun(tenant, nic, instance_id):
    bind(instance_id, tenant.project_id, "host1", [nic])
    both = bind(instance_id, tenant.project_id, "host1", [nic, nic])
    assert len(both) == 2
    assert len({facts.fixed_ips[0].address for facts in both}) == 2


def test_one_card_takes_few_queries(tenant, nic, instance_id, django_assert_max_num_queries):
    selectors.tag()  # asked once in a process's life
    with django_assert_max_num_queries(9):  # 7 and the transaction's two
        bind(instance_id, tenant.project_id, "host1", [nic])


def test_a_port_of_the_tenants_own_is_taken_and_given_back(tenant, network, subnet, nic, instance_id):
    wanted = [WantedIp(address="10.0.0.50")]
    port = create_port(NewPort(network_id=network.id, name="kept", fixed_ips=wanted), caller=tenant)
    mine = PlannedNic(str(network.id), str(port.id), tag="back")
    facts = bind(instance_id, tenant.project_id, "host1", [nic, mine])
    assert [(f.port_id, f.made_by_us, f.tag) for f in facts][1] == (str(port.id), False, "back")
    assert facts[1].fixed_ips[0].address == "10.0.0.50"
    unbind(instance_id)
    left = Port.objects.get(device_owner="", network=network)
    assert (left.id, left.instance_id, left.device_id, left.host, left.status) == (
        port.id,
        None,
        "",
        "",
        "DOWN",
    )
    assert left.addresses.get().address == "10.0.0.50"


def test_letting_go_twice_leaves_nothing_and_frees_the_addresses(tenant, network, nic, instance_id):
    bind(instance_id, tenant.project_id, "host1", [nic, nic])
    unbind(instance_id)
    unbind(instance_id)
    assert not Port.objects.filter(network=network).exclude(device_owner="network:dhcp").exists()
    assert PortAddress.objects.count() == 1


def test_a_port_that_another_server_took_meanwhile_is_a_conflict(tenant, network, nic, instance_id):
    port = create_port(NewPort(network_id=network.id), caller=tenant)
    planned = [nic, PlannedNic(str(network.id), str(port.id))]
    bind(uuid4(), tenant.project_id, "host1", planned[1:])
    with pytest.raises(PortInUse):
        bind(instance_id, tenant.project_id, "host1", planned)
    assert not Port.objects.filter(instance_id=instance_id).exists()


def test_a_port_or_network_deleted_meanwhile_is_named(tenant, network, instance_id):
    with pytest.raises(PortNotFound):
        bind(instance_id, tenant.project_id, "host1", [PlannedNic(str(network.id), str(uuid4()))])
    with pytest.raises(NetworkNotFound):
        bind(instance_id, tenant.project_id, "host1", [PlannedNic(str(uuid4()))])


def test_a_fixed_address_taken_meanwhile_is_a_conflict(tenant, network, subnet, instance_id):
    planned = [PlannedNic(str(network.id), fixed_ip="10.0.0.9")]
    bind(uuid4(), tenant.project_id, "host1", planned)
    with pytest.raises(Conflict, match=r"10\.0\.0\.9 is in use"):
        bind(instance_id, tenant.project_id, "host1", planned)


def test_a_port_that_a_tenant_marks_with_anothers_server_is_not_drawn_in(tenant, stranger, nic, instance_id):
    theirs = a_network(stranger)
    a_subnet(stranger, theirs)
    create_port(
        NewPort(network_id=theirs.id, device_id=str(instance_id), device_owner="compute:nova"),
        caller=stranger,
    )
    facts = bind(instance_id, tenant.project_id, "host1", [nic])
    assert [f.network_id for f in facts] == [nic.network_id]
    unbind(instance_id)
    assert Port.objects.filter(network=theirs, device_id=str(instance_id)).exists()


@pytest.mark.django_db(transaction=True)
def test_binds_that_race_for_one_instance_make_its_ports_once():
    tenant = a_caller()
    networks = [a_network(tenant), a_network(tenant)]
    for number, network in enumerate(networks):
        a_subnet(tenant, network, f"10.{number}.0.0/24")
    planned = [PlannedNic(str(network.id)) for network in networks]
    instances = [uuid4(), uuid4()]
    found: list[list[PortFacts]] = []

    def race(number: int) -> None:
        try:
            order = planned if number % 2 else planned[::-1]
            found.append(bind(instances[number % 2], tenant.project_id, "host1", order))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=race, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert Port.objects.exclude(instance_id=None).count() == 4
    assert len({json.dumps([f.port_id for f in facts]) for facts in found}) == 2
