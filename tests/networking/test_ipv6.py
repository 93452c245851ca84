"""Subnets of IPv6: how guests learn their addresses, which ports get, and what does not go together."""

import pytest

from networking import addressing, selectors
from networking.facts import PlannedNic
from networking.models import Port, Subnet
from networking.services import bind
from networking.wiring import dhcp
from tests.networking.host import network_facts, port_facts

MODES = ("slaac", "dhcpv6-stateful", "dhcpv6-stateless")


@pytest.fixture
def net(api) -> dict:
    return api.make("network")


def sub(api, net, **fields) -> dict:
    return api.make("subnet", network_id=net["id"], ip_version=6, cidr="fd00:1::/64", **fields)


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateless"])
def test_a_port_has_the_address_that_its_card_makes_of_the_prefix(api, net, mode):
    made = sub(api, net, ipv6_ra_mode=mode, ipv6_address_mode=mode)
    assert (made["gateway_ip"], made["ipv6_ra_mode"]) == ("fd00:1::1", mode)
    port = api.make("port", network_id=net["id"], mac_address="fa:16:3e:00:00:01")
    assert port["fixed_ips"] == [{"subnet_id": made["id"], "ip_address": "fd00:1::f816:3eff:fe00:1"}]
    body = {"port": {"network_id": net["id"], "fixed_ips": [{"ip_address": "fd00:1::5"}]}}
    assert api.refused("POST", "ports", body, 400)["type"] == "AllocationOnAutoAddressSubnet"
    assert not Port.objects.filter(device_owner="network:dhcp").exists()


def test_a_stateful_subnet_gives_addresses_of_its_pools(api, net):
    sub(api, net, ipv6_ra_mode="dhcpv6-stateful", ipv6_address_mode="dhcpv6-stateful")
    assert Subnet.objects.get().dhcp_address == "fd00:1::2"
    port = api.make("port", network_id=net["id"])
    assert port["fixed_ips"][0]["ip_address"] == "fd00:1::3"


def test_a_port_of_a_dual_stack_network_has_an_address_of_each(api, tenant, net, instance_id):
    api.make("subnet", network_id=net["id"], cidr="10.0.0.0/24")
    sub(api, net, ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    [facts] = bind(instance_id, tenant.project_id, "host1", [PlannedNic(net["id"])])
    assert [ip.version for ip in facts.fixed_ips] == [4, 6]
    assert facts.fixed_ips[1].address == addressing.eui64("fd00:1::/64", facts.mac)
    assert [subnet.ra_mode for subnet in facts.network.subnets] == [None, "slaac"]
    assert selectors.facts_of(instance_id) == [facts]


@pytest.mark.parametrize(
    "fields",
    [
        {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
        {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "enable_dhcp": False},
        {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "cidr": "fd00:1::/80"},
        {"ipv6_ra_mode": "magic"},
        {"gateway_ip": "fd00:2::1"},
        {"gateway_ip": "10.0.0.1"},
        {"cidr": "fe80::/64"},
        {"cidr": "ff02::/64"},
        {"cidr": "fd00:1::1/64"},
        {"cidr": "10.0.0.0/24"},
    ],
)
def test_what_does_not_go_together_is_refused_and_leaves_nothing(api, net, fields):
    body = {"subnet": {"network_id": net["id"], "ip_version": 6, "cidr": "fd00:1::/64", **fields}}
    api.refused("POST", "subnets", body, 400)
    assert not Subnet.objects.exists()


def test_dhcp_stays_on_where_guests_learn_their_addresses_by_it(api, net):
    made = sub(api, net, ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    api.refused("PUT", f"subnets/{made['id']}", {"subnet": {"enable_dhcp": False}}, 400)
    api.refused("PUT", f"subnets/{made['id']}", {"subnet": {"ipv6_ra_mode": "dhcpv6-stateful"}}, 400)


def six(mode: str, **fields):
    """Return the facts of a network of IPv6 alone."""
    return network_facts(
        "tst", "fd00:1::/64", version=6, gateway="fd00:1::1", ra_mode=mode,
        dhcp_address="fd00:1::2" if mode == "dhcpv6-stateful" else None, dns=["fd00::53"], **fields,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "word"),
    [("slaac", "ra-only"), ("dhcpv6-stateless", "ra-stateless"), ("dhcpv6-stateful", "static")],
)
def test_dnsmasq_advertises_what_the_mode_says(mode, word):
    text = dhcp.configuration(six(mode))
    assert f"dhcp-range=set:v0,fd00:1::,{word},64,86400s\n" in text
    assert "enable-ra\n" in text
    assert "mtu:1450,60,1800" in text
    assert "option6:dns-server,[fd00::53]" in text


def test_an_external_network_advertises_no_router(tmp_path):
    assert "mtu:1450,60,0" in dhcp.configuration(six("slaac", external=True))


def test_dnsmasq_knows_a_port_by_both_addresses():
    port = port_facts(network_facts("tst"), 3)
    both = [*port.fixed_ips, type(port.fixed_ips[0])("fd00:1::3", "s", 6, "fd00:1::/64", None)]
    assert dhcp.hosts([port_facts(port.network, 3, mac=port.mac, fixed_ips=both)]) == (
        f"{port.mac},10.0.0.3\n{port.mac},[fd00:1::3]\n"
    )
