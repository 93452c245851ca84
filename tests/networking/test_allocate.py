"""Addresses: fast, never given twice, and a clear word when there are none left."""

import threading
import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from networking.errors import IpAddressGenerationFailure, IpAddressInUse
from networking.models import Port, PortAddress, Subnet
from networking.services import WantedIp, create_port, delete_port
from networking.services.ports import NewPort
from networking.services.subnets import NewSubnet, create_subnet
from tests.networking.conftest import a_caller, a_network, a_subnet


def _addresses(port: Port) -> list[str]:
    return list(PortAddress.objects.filter(port=port).values_list("address", flat=True))


def test_addresses_are_handed_out_in_order_behind_gateway_and_dhcp(tenant, network, subnet):
    ports = [create_port(NewPort(network_id=network.id), caller=tenant) for _ in range(3)]
    assert [_addresses(port) for port in ports] == [["10.0.0.3"], ["10.0.0.4"], ["10.0.0.5"]]
    assert subnet.gateway_ip == "10.0.0.1"
    assert subnet.dhcp_address == "10.0.0.2"


def test_an_address_given_back_is_used_again_only_after_the_others(tenant, network):
    a_subnet(tenant, network, "10.9.0.0/29", enable_dhcp=False)  # .2 to .6
    first = create_port(NewPort(network_id=network.id), caller=tenant)
    delete_port(first.id, caller=tenant)
    later = [create_port(NewPort(network_id=network.id), caller=tenant) for _ in range(5)]
    assert [_addresses(port)[0] for port in later] == [
        "10.9.0.3",
        "10.9.0.4",
        "10.9.0.5",
        "10.9.0.6",
        "10.9.0.2",
    ]


def test_an_address_asked_for_is_skipped_when_the_cursor_comes_to_it(tenant, network, subnet):
    create_port(NewPort(network_id=network.id, fixed_ips=[WantedIp(address="10.0.0.3")]), caller=tenant)
    assert _addresses(create_port(NewPort(network_id=network.id), caller=tenant)) == ["10.0.0.4"]


def test_a_full_subnet_is_a_conflict_and_leaves_no_port(tenant, network):
    a_subnet(tenant, network, "10.9.0.0/30", enable_dhcp=False)
    create_port(NewPort(network_id=network.id), caller=tenant)
    with pytest.raises(IpAddressGenerationFailure, match="No more IP addresses"):
        create_port(NewPort(network_id=network.id), caller=tenant)
    assert Port.objects.filter(network=network).count() == 1


def test_the_next_subnet_helps_out_when_the_first_is_full(tenant, network):
    a_subnet(tenant, network, "10.9.0.0/30", enable_dhcp=False)
    a_subnet(tenant, network, "10.9.1.0/30", enable_dhcp=False)
    found = [_addresses(create_port(NewPort(network_id=network.id), caller=tenant)) for _ in range(2)]
    assert found == [["10.9.0.2"], ["10.9.1.2"]]


def test_pools_with_holes_are_walked_in_order(tenant, network):
    pools = [{"start": "10.9.0.20", "end": "10.9.0.21"}, {"start": "10.9.0.10", "end": "10.9.0.11"}]
    a_subnet(tenant, network, "10.9.0.0/24", enable_dhcp=False, pools=pools)
    found = [_addresses(create_port(NewPort(network_id=network.id), caller=tenant))[0] for _ in range(4)]
    assert found == ["10.9.0.10", "10.9.0.11", "10.9.0.20", "10.9.0.21"]
    with pytest.raises(IpAddressGenerationFailure):
        create_port(NewPort(network_id=network.id), caller=tenant)


def test_a_port_gets_one_address_of_each_ip_version(tenant, network, subnet):
    a_subnet(tenant, network, "fd00:1::/64", ip_version=6)
    port = create_port(NewPort(network_id=network.id), caller=tenant)
    assert _addresses(port) == ["10.0.0.3", "fd00:1::2"]


def test_an_address_far_out_in_an_ipv6_subnet_can_be_asked_for_once(tenant, network):
    a_subnet(tenant, network, "fd00:1::/64", ip_version=6)
    wanted = [WantedIp(address="fd00:1::f816:3eff:fe00:1")]
    create_port(NewPort(network_id=network.id, fixed_ips=wanted), caller=tenant)
    with pytest.raises(IpAddressInUse):
        create_port(NewPort(network_id=network.id, fixed_ips=wanted), caller=tenant)


@pytest.mark.django_db(transaction=True)
def test_racing_allocators_never_get_the_same_address():
    tenant = a_caller()
    network = a_network(tenant)
    subnet = create_subnet(
        NewSubnet(network_id=network.id, cidr="10.9.0.0/26", enable_dhcp=False), caller=tenant
    )  # 61 addresses
    taken: list[str] = []
    full: list[str] = []

    def allocate(number: int) -> None:
        try:
            for turn in range(12):
                address = f"10.9.0.{number * 5 + turn}" if turn == 4 else None
                wanted = [WantedIp(address=address)] if address else None
                port = create_port(NewPort(network_id=network.id, fixed_ips=wanted), caller=tenant)
                taken.extend(_addresses(port))
        except (IpAddressGenerationFailure, IpAddressInUse) as error:
            full.append(str(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=allocate, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) <= 61
    assert full, "72 were asked for"
    assert PortAddress.objects.filter(subnet=subnet).count() == len(taken)
    assert Port.objects.filter(network=network).count() == len(taken)


def _crowd(subnet: Subnet, offsets: range) -> None:
    ports = [
        Port(
            id=uuid4(),
            network=subnet.network,
            project_id="crowd",
            mac=f"crowd {offset}",
            made_by_instance=True,
        )
        for offset in offsets
    ]
    Port.objects.bulk_create(ports)
    PortAddress.objects.bulk_create(
        PortAddress(
            subnet=subnet,
            port=port,
            address=f"10.{8 + (offset >> 16)}.{offset >> 8 & 255}.{offset & 255}",
            offset=offset,
        )
        for port, offset in zip(ports, offsets, strict=True)
    )
    Subnet.objects.filter(pk=subnet.pk).update(cursor=offsets.stop)


def cpu_s(work: Callable[[], object]) -> float:
    """Return the processor time that work takes: it grows with the work, not with what else the machine does."""
    began = time.process_time()
    work()
    return time.process_time() - began


def test_thousands_of_ports_do_not_make_allocation_slower_nor_take_more_queries(tenant, network):
    subnet = a_subnet(tenant, network, "10.8.0.0/16", enable_dhcp=False)

    def measure() -> tuple[int, float]:
        with CaptureQueriesContext(connection) as queries:
            spent_s = cpu_s(lambda: create_port(NewPort(network_id=network.id), caller=tenant))
        return len(queries), spent_s

    measure()  # makes the project's default group
    few, _ = measure()
    _crowd(subnet, range(10, 8_000))
    many, spent_s = measure()
    assert many == few
    assert spent_s < 0.2


def test_the_last_gap_among_thousands_is_found_quickly(tenant, network):
    subnet = a_subnet(tenant, network, "10.8.0.0/19", enable_dhcp=False)
    _crowd(subnet, range(2, 8_191))
    PortAddress.objects.filter(subnet=subnet, offset=6_000).delete()
    made: list[Port] = []
    assert cpu_s(lambda: made.append(create_port(NewPort(network_id=network.id), caller=tenant))) < 1.0
    port = made[0]
    assert _addresses(port) == ["10.8.23.112"]
    with pytest.raises(IpAddressGenerationFailure):
        create_port(NewPort(network_id=network.id), caller=tenant)
