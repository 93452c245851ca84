"""What a request's networks mean, and what is refused, in Nova's words."""

import dataclasses
import json
from uuid import uuid4

import pytest

from computecloud.wire.caller import Caller
from computecloud.wire.errors import Conflict, Forbidden, InvalidInput, QuotaExceeded
from networking.errors import NetworkAmbiguous, PortInUse
from networking.facts import PlannedNic
from networking.models import Network, Port, PortAddress
from networking.services import bind, bootstrap, create_port, default_group, plan
from networking.services.instances import NICS_MAX
from networking.services.ports import NewPort
from tests.networking.conftest import a_caller, a_network, a_subnet


def _nic(network: Network, caller: Caller) -> PlannedNic:
    return PlannedNic(str(network.id), groups=[str(default_group(caller.project_id))])


def test_none_means_no_card(tenant, subnet):
    assert plan("none", tenant) == []


def test_auto_is_the_projects_own_network(tenant, network, subnet, admin):
    a_subnet(admin, a_network(admin, shared=True), "10.5.0.0/24")
    assert plan("auto", tenant) == [_nic(network, tenant)]


def test_auto_is_the_shared_network_where_the_project_has_none(tenant, admin, db):
    shared = a_network(admin, shared=True)
    a_subnet(admin, shared)
    assert plan("auto", tenant) == [_nic(shared, tenant)]


def test_auto_makes_one_network_for_a_project_and_keeps_it(tenant, stranger, db):
    made = plan("auto", tenant)
    assert plan("auto", tenant) == made
    network = Network.objects.get()
    assert (network.project_id, network.is_auto) == (tenant.project_id, True)
    assert network.subnets.get().cidr == "10.0.0.0/24"
    assert plan("auto", stranger) != made


def test_auto_with_two_own_networks_is_a_conflict_in_novas_words(tenant, network, subnet):
    a_subnet(tenant, a_network(tenant), "10.5.0.0/24")
    for requested in ("auto", None):
        with pytest.raises(
            NetworkAmbiguous, match=r"^Multiple possible networks found, use a Network ID to be more"
        ):
            plan(requested, tenant)


def test_saying_nothing_means_no_card_where_there_is_no_network(tenant, db):
    assert plan(None, tenant) == []
    assert not Network.objects.exists()


def test_saying_nothing_means_the_only_network(tenant, network, subnet):
    assert plan(None, tenant) == [_nic(network, tenant)]


def test_a_network_without_subnet_does_not_count_for_auto(tenant, network):
    assert plan(None, tenant) == []


def test_a_list_may_mix_networks_and_ports(tenant, network, subnet):
    port = create_port(NewPort(network_id=network.id), caller=tenant)
    planned = plan(
        [{"uuid": str(network.id), "fixed_ip": "10.0.0.77", "tag": "front"}, {"port": str(port.id)}], tenant
    )
    assert planned == [
        dataclasses.replace(_nic(network, tenant), fixed_ip="10.0.0.77", tag="front"),
        PlannedNic(str(network.id), str(port.id)),
    ]
    assert json.loads(json.dumps([dataclasses.asdict(nic) for nic in planned]))


def test_planning_takes_the_same_few_queries_for_many_cards(
    tenant, network, subnet, django_assert_max_num_queries
):
    ports = [create_port(NewPort(network_id=network.id), caller=tenant) for _ in range(5)]
    wishes = [{"port": str(port.id)} for port in ports] + [
        {"uuid": str(network.id), "fixed_ip": f"10.0.0.{100 + i}"} for i in range(5)
    ]
    with django_assert_max_num_queries(6):
        plan(wishes, tenant)


@pytest.mark.parametrize(
    ("item", "error", "words"),
    [
        ({}, InvalidInput, "needs a network uuid or a port"),
        ({"uuid": "not-a-uuid"}, InvalidInput, "not in proper format"),
        ({"port": "not-a-uuid"}, InvalidInput, "not in proper format"),
        ({"uuid": str(uuid4())}, InvalidInput, "could not be found"),
        ({"port": str(uuid4())}, InvalidInput, "could not be found"),
        ({"uuid": "NETWORK", "fixed_ip": "300.1.1.1"}, InvalidInput, "Invalid fixed IP address"),
        ({"uuid": "NETWORK", "fixed_ip": "10.1.1.1"}, InvalidInput, "not a valid ip address for network"),
        ({"uuid": "NETWORK", "fixed_ip": "10.0.0.1"}, InvalidInput, "already in use"),
        ({"uuid": "NETWORK", "fixed_ip": "10.0.0.2"}, InvalidInput, "already in use"),
        ({"port": str(uuid4()), "fixed_ip": "10.0.0.9"}, InvalidInput, "cannot be specified together"),
    ],
)
def test_a_wish_that_can_not_be_met_is_refused(tenant, network, subnet, item, error, words):
    wish = {key: str(network.id) if value == "NETWORK" else value for key, value in item.items()}
    with pytest.raises(error, match=words):
        plan([wish], tenant)


def test_another_tenants_network_and_port_do_not_exist(tenant, stranger, network, subnet):
    port = create_port(NewPort(network_id=network.id), caller=tenant)
    for wish in ({"uuid": str(network.id)}, {"port": str(port.id)}):
        with pytest.raises(InvalidInput, match="could not be found"):
            plan([wish], stranger)


def test_a_network_without_subnet_is_refused(tenant, network):
    with pytest.raises(InvalidInput, match="requires a subnet"):
        plan([{"uuid": str(network.id)}], tenant)


def test_an_external_network_that_is_not_shared_is_forbidden(tenant, admin, db):
    network = a_network(admin, external=True)
    a_subnet(admin, network, "172.31.0.0/24")
    with pytest.raises(Forbidden, match="external network"):
        plan([{"uuid": str(network.id)}], tenant)


def test_a_port_without_address_is_refused(tenant, network, subnet):
    port = create_port(NewPort(network_id=network.id, fixed_ips=[]), caller=tenant)
    with pytest.raises(InvalidInput, match="requires a FixedIP"):
        plan([{"port": str(port.id)}], tenant)


def test_a_port_that_a_server_holds_is_a_conflict(tenant, network, subnet, instance_id):
    port = create_port(NewPort(network_id=network.id), caller=tenant)
    wish = [{"port": str(port.id)}]
    bind(instance_id, tenant.project_id, "host1", plan(wish, tenant))
    with pytest.raises(PortInUse, match="still in use"):
        plan(wish, tenant)


def test_a_port_or_address_listed_twice_is_refused(tenant, network, subnet):
    port = create_port(NewPort(network_id=network.id), caller=tenant)
    for wish in ({"port": str(port.id)}, {"uuid": str(network.id), "fixed_ip": "10.0.0.9"}):
        with pytest.raises(InvalidInput, match="listed twice"):
            plan([wish, wish], tenant)


def test_more_cards_than_a_server_can_have_are_refused(tenant, network, subnet):
    with pytest.raises(QuotaExceeded, match="Maximum number of ports exceeded"):
        plan([{"uuid": str(network.id)}] * (NICS_MAX + 1), tenant)


def test_the_public_network_is_there_for_all_after_bootstrap(tenant, db, tmp_path):
    network_id = bootstrap(routes=tmp_path / "none")
    assert bootstrap(routes=tmp_path / "none") == network_id
    assert plan("auto", tenant) == [_nic(Network.objects.get(), tenant)]
    assert Network.objects.get().id == network_id
    assert Network.objects.get().subnets.get().cidr == "172.24.4.0/24"


def test_bootstrap_steps_aside_where_the_host_uses_the_range(db, tmp_path):
    routes = tmp_path / "route"
    routes.write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "lo\t00000000\t010018AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth1\t000418AC\t00000000\t0001\t0\t0\t0\t00FEFFFF\t0\t0\t0\n"  # 172.24.4.0/23
    )
    bootstrap(routes=routes)
    assert Network.objects.get().subnets.get().cidr == "172.24.6.0/24"


def test_the_binding_is_undone_when_a_later_card_can_not_be_made(tenant, network, instance_id):
    a_subnet(tenant, network, "10.9.0.0/30", enable_dhcp=False)
    with pytest.raises(Conflict, match="No more IP addresses"):
        bind(instance_id, tenant.project_id, "host1", [_nic(network, tenant)] * 2)
    assert not Port.objects.filter(instance_id=instance_id).exists()
    assert not PortAddress.objects.exists()


def test_caller_without_project_gets_nothing_of_others(network, subnet):
    nobody = a_caller(project_id="-")
    assert plan(None, nobody) == []
