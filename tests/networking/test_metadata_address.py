"""What subnets tell guests of the way to the metadata service, and which instance has an address on a network."""

from uuid import uuid4

import pytest

from networking import metadata_address, selectors
from networking.facts import PlannedNic
from networking.models import PortAddress
from networking.services import bind, create_network, unbind
from networking.services.networks import NewNetwork
from tests.networking.conftest import a_network, a_subnet

pytestmark = pytest.mark.django_db

WAY = {"destination": "169.254.169.254/32", "nexthop": "10.0.0.2"}
OTHER = {"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}


@pytest.mark.parametrize(
    ("told", "dhcp_address", "gateway_in_namespace", "routes"),
    [
        ([], "10.0.0.2", False, [WAY]),
        ([OTHER], "10.0.0.2", False, [OTHER, WAY]),
        ([OTHER], "10.0.0.2", True, [OTHER]),
        ([OTHER], None, False, [OTHER]),
        ([{**WAY, "nexthop": "10.0.0.9"}], "10.0.0.2", False, [{**WAY, "nexthop": "10.0.0.9"}]),
    ],
)
def test_the_way_is_told_where_the_default_route_is_none(told, dhcp_address, gateway_in_namespace, routes):
    found = metadata_address.routes(
        told, dhcp_address=dhcp_address, gateway_in_namespace=gateway_in_namespace
    )
    assert found == routes


def _routes(caller, network, instance_id, **fields):
    a_subnet(caller, network, **fields)
    [port] = bind(instance_id, str(caller.project_id), "host1", [PlannedNic(str(network.id))])
    [subnet] = port.network.subnets
    assert port.network.metadata_ip == "169.254.169.254"
    return subnet.routes


def test_a_tenants_network_with_a_gateway_tells_no_way(tenant, network, instance_id):
    assert _routes(tenant, network, instance_id) == []


def test_a_network_without_a_gateway_and_an_external_one_tell_it(tenant, admin, network, instance_id):
    assert _routes(tenant, network, instance_id, gateway=None)[0]["destination"] == WAY["destination"]
    external = create_network(NewNetwork(external=True, shared=True), caller=admin)
    told = _routes(admin, external, uuid4(), cidr="172.27.1.0/24")
    assert told == [{**WAY, "nexthop": "172.27.1.2"}]


def test_an_ipv6_subnet_tells_none(tenant, network, instance_id):
    fields = {"ip_version": 6, "cidr": "2001:db8::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
    assert _routes(tenant, network, instance_id, **fields) == []


def test_an_address_names_the_one_instance_that_has_it_on_this_network_and_host(
    tenant, stranger, instance_id
):
    mine, theirs = a_network(tenant), a_network(stranger)
    for caller, network in ((tenant, mine), (stranger, theirs)):
        a_subnet(caller, network)
    other_id = uuid4()
    bind(instance_id, str(tenant.project_id), "host1", [PlannedNic(str(mine.id))])
    bind(other_id, str(stranger.project_id), "host1", [PlannedNic(str(theirs.id))])
    assert set(PortAddress.objects.filter(port__host="host1").values_list("address", flat=True)) == {
        "10.0.0.3"
    }
    assert selectors.holder_at(mine.id, "10.0.0.3", host="host1") == instance_id
    assert selectors.holder_at(theirs.id, "10.0.0.3", host="host1") == other_id
    assert selectors.holder_at(mine.id, "10.0.0.3", host="host2") is None
    assert selectors.holder_at(mine.id, "10.0.0.2", host="host1") is None
    assert selectors.holder_at(uuid4(), "10.0.0.3", host="host1") is None
    unbind(instance_id)
    assert selectors.holder_at(mine.id, "10.0.0.3", host="host1") is None
