"""Networks, subnets and ports over HTTP: what is shown, to whom, and what is refused with nothing left behind."""

import dataclasses
from uuid import uuid4

import pytest

from identity import revocation
from networking import selectors
from networking.models import Network, Port, PortAddress, Subnet
from networking.services import bind, plan
from networking.services.counting import LIMITS
from tests.networking.api import Api
from tests.networking.conftest import a_caller

ONE = str(uuid4())


def counts() -> tuple[int, int, int, int]:
    return tuple(model.objects.count() for model in (Network, Subnet, Port, PortAddress))


@pytest.fixture
def net(api) -> dict:
    return api.make("network", name="n")


@pytest.fixture
def sub(api, net) -> dict:
    return api.make("subnet", network_id=net["id"], cidr="10.0.0.0/24")


def test_a_network_is_made_shown_changed_and_deleted(api, tenant):
    made = api.make("network", name="n", description="d", mtu=1400)
    assert made["project_id"] == made["tenant_id"] == tenant.project_id
    assert (made["status"], made["shared"], made["router:external"], made["mtu"]) == (
        "ACTIVE",
        False,
        False,
        1400,
    )
    changed = api.change("network", made["id"], name="m", admin_state_up=False)
    assert (changed["name"], changed["admin_state_up"], changed["revision_number"]) == ("m", False, 1)
    assert api.get(f"networks/{made['id']}")["network"] == changed
    api.call("DELETE", f"networks/{made['id']}", expect=204)
    assert api.refused("GET", f"networks/{made['id']}", None, 404)["type"] == "NetworkNotFound"


def test_a_subnet_is_made_shown_changed_and_deleted(api, net):
    made = api.make(
        "subnet", network_id=net["id"], cidr="10.0.0.0/24", name="s", dns_nameservers=["192.0.2.1"]
    )
    assert made["gateway_ip"] == "10.0.0.1"
    assert made["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    assert api.get(f"networks/{net['id']}")["network"]["subnets"] == [made["id"]]
    changed = api.change(
        "subnet",
        made["id"],
        gateway_ip="10.0.0.254",
        allocation_pools=[{"start": "10.0.0.10", "end": "10.0.0.20"}],
        host_routes=[{"destination": "10.1.0.0/16", "nexthop": "10.0.0.9"}],
        enable_dhcp=False,
    )
    assert (changed["gateway_ip"], changed["enable_dhcp"]) == ("10.0.0.254", False)
    assert changed["host_routes"] == [{"destination": "10.1.0.0/16", "nexthop": "10.0.0.9"}]
    assert not Port.objects.exists()
    assert api.change("subnet", made["id"], enable_dhcp=True)["enable_dhcp"]
    assert Subnet.objects.get().dhcp_address == "10.0.0.10"
    api.call("DELETE", f"subnets/{made['id']}", expect=204)
    assert counts() == (1, 0, 0, 0)


def test_a_subnet_may_have_no_gateway(api, net):
    made = api.make("subnet", network_id=net["id"], cidr="10.0.0.0/29", gateway_ip=None)
    assert made["gateway_ip"] is None
    assert made["allocation_pools"] == [{"start": "10.0.0.1", "end": "10.0.0.6"}]


def test_a_port_is_made_shown_changed_and_deleted(api, net, sub):
    made = api.make("port", network_id=net["id"], name="p", mac_address="FA:16:3E:00:00:01")
    assert made["fixed_ips"] == [{"subnet_id": sub["id"], "ip_address": "10.0.0.3"}]
    assert (made["status"], made["mac_address"]) == ("DOWN", "fa:16:3e:00:00:01")
    assert "binding:host_id" not in made
    wanted = [
        {"subnet_id": sub["id"], "ip_address": "10.0.0.7"},
        {"subnet_id": sub["id"], "ip_address": "10.0.0.3"},
    ]
    changed = api.change("port", made["id"], name="q", device_id="d", fixed_ips=wanted)
    assert sorted(ip["ip_address"] for ip in changed["fixed_ips"]) == ["10.0.0.3", "10.0.0.7"]
    assert api.change("port", made["id"], fixed_ips=[])["fixed_ips"] == []
    api.call("DELETE", f"ports/{made['id']}", expect=204)
    assert api.refused("DELETE", f"ports/{made['id']}", None, 404)["type"] == "PortNotFound"


def test_deleting_a_network_takes_subnets_and_dhcp_port_along(api, net, sub):
    assert counts() == (1, 1, 1, 1)
    api.call("DELETE", f"networks/{net['id']}", expect=204)
    assert counts() == (0, 0, 0, 0)


def test_what_ports_use_stays(api, net, sub):
    port = api.make("port", network_id=net["id"])
    assert api.refused("DELETE", f"networks/{net['id']}", None, 409)["type"] == "NetworkInUse"
    assert api.refused("DELETE", f"subnets/{sub['id']}", None, 409)["type"] == "SubnetInUse"
    api.call("DELETE", f"ports/{port['id']}", expect=204)
    api.call("DELETE", f"subnets/{sub['id']}", expect=204)


def test_a_server_keeps_its_port(api, tenant, net, sub, instance_id):
    port = api.make("port", network_id=net["id"])
    bind(instance_id, tenant.project_id, "host1", plan([{"port": port["id"]}], tenant))
    shown = api.get(f"ports/{port['id']}")["port"]
    assert (shown["device_id"], shown["device_owner"], shown["status"]) == (
        str(instance_id),
        "compute:nova",
        "BUILD",
    )
    for call in (
        ("DELETE", None),
        ("PUT", {"port": {"device_id": ""}}),
    ):
        assert api.refused(call[0], f"ports/{port['id']}", call[1], 409)["type"] == "ServicePortInUse"
    mac = {"port": {"mac_address": "fa:16:3e:00:00:09"}}
    assert api.refused("PUT", f"ports/{port['id']}", mac, 409)["type"] == "PortBound"
    assert api.change("port", port["id"], name="named")["name"] == "named"


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PUT", {"port": {"name": "new"}})])
def test_a_port_that_another_request_deletes_meanwhile_is_not_found(api, net, sub, monkeypatch, method, body):
    port = api.make("port", network_id=net["id"])
    look_up = selectors.port

    def deleted_meanwhile(*args):
        found = look_up(*args)
        Port.objects.filter(pk=found.pk).delete()
        return found

    monkeypatch.setattr(selectors, "port", deleted_meanwhile)
    assert api.refused(method, f"ports/{port['id']}", body, 404)["type"] == "PortNotFound"


def test_the_dhcp_port_is_not_the_tenants_to_delete(api, net, sub):
    [dhcp] = api.get("ports", device_owner="network:dhcp")["ports"]
    assert dhcp["fixed_ips"][0]["ip_address"] == "10.0.0.2"
    assert api.refused("DELETE", f"ports/{dhcp['id']}", None, 409)["type"] == "ServicePortInUse"


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"cidr": "10.0.0.0"}, 400, "InvalidCidr"),
        ({"cidr": "nonsense"}, 400, "InvalidCidr"),
        ({"cidr": "10.0.0.1/24"}, 400, "InvalidCidr"),
        ({"cidr": "10.0.0.0/33"}, 400, "InvalidCidr"),
        ({"cidr": "0.0.0.0/0"}, 400, "InvalidCidr"),
        ({"cidr": "224.0.0.0/8"}, 400, "InvalidCidr"),
        ({"cidr": "127.0.0.0/8"}, 400, "InvalidCidr"),
        ({"cidr": "fd00::/64"}, 400, "InvalidCidr"),
        ({"cidr": "10.0.0.0/24", "ip_version": 6}, 400, "InvalidCidr"),
        ({"cidr": "10.0.0.0/24", "ip_version": 5}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/32"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.1.1"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.0"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "fd00::1"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "gateway"}, 400, "InvalidInput"),
        (
            {"cidr": "10.0.0.0/24", "allocation_pools": [("2", "9"), ("9", "20")]},
            409,
            "OverlappingAllocationPools",
        ),
        (
            {"cidr": "10.0.0.0/24", "allocation_pools": [("1", "9")]},
            409,
            "GatewayConflictWithAllocationPools",
        ),
        ({"cidr": "10.0.0.0/25", "allocation_pools": [("2", "200")]}, 400, "OutOfBoundsAllocationPool"),
        ({"cidr": "10.0.0.0/24", "allocation_pools": [("2", "255")]}, 400, "OutOfBoundsAllocationPool"),
        ({"cidr": "10.0.0.0/24", "allocation_pools": [("9", "2")]}, 400, "InvalidAllocationPool"),
        ({"cidr": "10.0.0.0/24", "allocation_pools": []}, 409, "Conflict"),
        ({"cidr": "10.0.0.0/24", "dns_nameservers": ["x"]}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "dns_nameservers": ["192.0.2.1"] * 6}, 400, "InvalidInput"),
        (
            {"cidr": "10.0.0.0/24", "host_routes": [{"destination": "x", "nexthop": "10.0.0.1"}]},
            400,
            "InvalidInput",
        ),
        (
            {"cidr": "10.0.0.0/24", "host_routes": [{"destination": "fd00::/8", "nexthop": "10.0.0.1"}]},
            400,
            "InvalidInput",
        ),
        ({"cidr": "10.0.0.0/24", "ipv6_ra_mode": "slaac"}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "nonsense": 1}, 400, "InvalidInput"),
        ({}, 400, "InvalidInput"),
        ({"cidr": "10.0.0.0/24", "network_id": ONE}, 404, "NetworkNotFound"),
    ],
)
def test_a_wrong_subnet_is_refused_and_leaves_nothing(api, net, fields, status, kind):
    if "allocation_pools" in fields:
        pools = [
            {"start": f"10.0.0.{low}", "end": f"10.0.0.{high}"} for low, high in fields["allocation_pools"]
        ]
        fields = fields | {"allocation_pools": pools}
    before = counts()
    fault = api.refused("POST", "subnets", {"subnet": {"network_id": net["id"], **fields}}, status)
    assert fault["type"] == kind
    assert counts() == before


def test_two_ranges_of_a_network_do_not_overlap(api, net, sub):
    body = {"subnet": {"network_id": net["id"], "cidr": "10.0.0.128/25"}}
    assert api.refused("POST", "subnets", body, 400)["type"] == "SubnetOverlaps"
    assert counts() == (1, 1, 1, 1)


def test_external_networks_do_not_share_ranges_but_tenants_networks_may(admin_api, api, net, sub):
    for external in (True, False):
        network = admin_api.make("network", **{"router:external": external})
        admin_api.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    another = admin_api.make("network", **{"router:external": True})
    body = {"subnet": {"network_id": another["id"], "cidr": "10.0.0.0/16"}}
    assert admin_api.refused("POST", "subnets", body, 400)["type"] == "SubnetOverlaps"


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"gateway_ip": "10.1.1.1"}, 400, "InvalidInput"),
        ({"gateway_ip": "10.0.0.9"}, 409, "GatewayConflictWithAllocationPools"),
        (
            {"allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.9"}]},
            409,
            "GatewayConflictWithAllocationPools",
        ),
        ({"cidr": "10.0.0.0/25"}, 400, "InvalidInput"),
        ({"host_routes": [{"destination": "x", "nexthop": "y"}]}, 400, "InvalidInput"),
    ],
)
def test_a_wrong_change_of_a_subnet_changes_nothing(api, sub, changes, status, kind):
    assert api.refused("PUT", f"subnets/{sub['id']}", {"subnet": changes}, status)["type"] == kind
    assert api.get(f"subnets/{sub['id']}")["subnet"] == sub


def test_a_ports_address_does_not_become_the_gateway(api, net):
    pools = [{"start": "10.0.0.10", "end": "10.0.0.20"}]
    made = api.make("subnet", network_id=net["id"], cidr="10.0.0.0/24", allocation_pools=pools)
    api.make("port", network_id=net["id"], fixed_ips=[{"ip_address": "10.0.0.30"}])
    body = {"subnet": {"gateway_ip": "10.0.0.30"}}
    assert api.refused("PUT", f"subnets/{made['id']}", body, 409)["type"] == "IpAddressInUse"


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"fixed_ips": [{"ip_address": "10.0.0.2"}]}, 409, "IpAddressInUse"),
        ({"fixed_ips": [{"ip_address": "10.0.0.1"}]}, 409, "IpAddressInUse"),
        ({"fixed_ips": [{"ip_address": "10.9.0.1"}]}, 400, "InvalidIpForNetwork"),
        ({"fixed_ips": [{"subnet_id": "SUBNET", "ip_address": "10.9.0.1"}]}, 400, "InvalidAddress"),
        ({"fixed_ips": [{"ip_address": "10.0.0.255"}]}, 400, "InvalidAddress"),
        ({"fixed_ips": [{"ip_address": "ten"}]}, 400, "InvalidInput"),
        ({"fixed_ips": [{"subnet_id": ONE}]}, 404, "SubnetNotFound"),
        ({"fixed_ips": [{}]}, 400, "InvalidInput"),
        ({"fixed_ips": [{"ip_address": "10.0.0.8"}] * 2}, 409, "IpAddressInUse"),
        ({"fixed_ips": [{"ip_address": "10.0.0.8"}] * 17}, 400, "InvalidInput"),
        ({"mac_address": "not-a-mac"}, 400, "InvalidInput"),
        ({"mac_address": "01:00:5e:00:00:01"}, 400, "InvalidInput"),
        ({"mac_address": "DHCP"}, 409, "MacAddressInUse"),
        ({"security_groups": [ONE]}, 404, "SecurityGroupNotFound"),
        ({"device_owner": "network:router_gateway"}, 403, "PolicyNotAuthorized"),
        ({"binding:host_id": "host1"}, 400, "InvalidInput"),
        ({"project_id": "0" * 32}, 403, "PolicyNotAuthorized"),
        ({"project_id": "0" * 32, "tenant_id": "1" * 32}, 400, "InvalidInput"),
        ({"name": "x" * 256}, 400, "InvalidInput"),
        ({"name": "nul\0"}, 400, "InvalidInput"),
        ({"nonsense": True}, 400, "InvalidInput"),
        ({"network_id": ONE}, 404, "NetworkNotFound"),
        ({"network_id": "x"}, 400, "InvalidInput"),
    ],
)
def test_a_wrong_port_is_refused_and_leaves_nothing(api, net, sub, fields, status, kind):
    dhcp = Port.objects.get()
    named = {"SUBNET": sub["id"], "DHCP": dhcp.mac}
    if isinstance(fields.get("fixed_ips"), list):
        wishes = [
            {key: named.get(value, value) for key, value in wish.items()} for wish in fields["fixed_ips"]
        ]
        fields = fields | {"fixed_ips": wishes}
    if fields.get("mac_address") in named:
        fields = fields | {"mac_address": dhcp.mac}
    before = counts()
    fault = api.refused("POST", "ports", {"port": {"network_id": net["id"], **fields}}, status)
    assert fault["type"] == kind
    assert counts() == before


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"network": []}', b'{"network": {}, "more": 1}', b'{"port": {}}']
)
def test_a_malformed_body_is_refused(api, body):
    assert api.call("POST", "networks", body, 400)["NeutronError"]["message"]
    assert counts() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "fields",
    [{"mtu": 10}, {"mtu": 10**9}, {"name": 5}, {"admin_state_up": "perhaps"}, {"vni": 7}, {"shared": []}],
)
def test_a_wrong_network_is_refused(api, fields):
    api.refused("POST", "networks", {"network": fields}, 400)
    assert counts() == (0, 0, 0, 0)


@pytest.mark.parametrize("fields", [{"shared": True}, {"router:external": True}, {"project_id": "0" * 32}])
def test_shared_external_and_others_networks_take_an_administrator(api, admin_api, fields):
    assert api.refused("POST", "networks", {"network": fields}, 403)["type"] == "PolicyNotAuthorized"
    assert counts() == (0, 0, 0, 0)
    admin_api.make("network", **fields)


def test_more_than_the_quota_is_a_conflict(api, tenant, net, sub):
    known = Network.objects.get()
    Network.objects.bulk_create(
        Network(project_id=tenant.project_id, vni=number)
        for number in range(1 << 24, (1 << 24) + LIMITS["network"] - 1)
    )
    assert api.refused("POST", "networks", {"network": {}}, 409)["type"] == "OverQuota"
    Port.objects.bulk_create(
        Port(network=known, project_id=tenant.project_id, mac=str(number)) for number in range(LIMITS["port"])
    )
    assert api.refused("POST", "ports", {"port": {"network_id": net["id"]}}, 409)["type"] == "OverQuota"
    assert Port.objects.filter(mac__startswith="fa:").count() == 1
    Api(a_caller()).make("network")


def test_a_full_network_is_a_conflict(api, net):
    api.make("subnet", network_id=net["id"], cidr="10.0.0.0/29")
    for _ in range(4):
        api.make("port", network_id=net["id"])
    before = counts()
    fault = api.refused("POST", "ports", {"port": {"network_id": net["id"]}}, 409)
    assert fault["type"] == "IpAddressGenerationFailure"
    assert counts() == before


def test_another_tenants_things_do_not_exist(api, strangers_api, net, sub):
    port = api.make("port", network_id=net["id"])
    for path, singular in (
        (f"networks/{net['id']}", "network"),
        (f"subnets/{sub['id']}", "subnet"),
        (f"ports/{port['id']}", "port"),
    ):
        strangers_api.refused("GET", path, None, 404)
        strangers_api.refused("PUT", path, {singular: {"name": "mine"}}, 404)
        strangers_api.refused("DELETE", path, None, 404)
    for plural in ("networks", "subnets", "ports"):
        assert strangers_api.get(plural) == {plural: []}
    strangers_api.refused("POST", "ports", {"port": {"network_id": net["id"]}}, 404)
    strangers_api.refused(
        "POST", "subnets", {"subnet": {"network_id": net["id"], "cidr": "10.5.0.0/24"}}, 404
    )


def test_an_admin_sees_all(api, admin_api, net, sub):
    port = api.make("port", network_id=net["id"])
    shown = admin_api.get(f"ports/{port['id']}")["port"]
    assert (shown["binding:host_id"], shown["binding:vif_type"]) == ("", "unbound")
    assert len(admin_api.get("ports")["ports"]) == 2


def test_a_shared_network_is_used_but_not_changed_by_others(admin_api, api):
    shared = admin_api.make("network", shared=True)
    subnet = admin_api.make("subnet", network_id=shared["id"], cidr="10.7.0.0/24")
    assert [network["id"] for network in api.get("networks")["networks"]] == [shared["id"]]
    port = api.make("port", network_id=shared["id"])
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.7.0.3"}]
    api.refused("PUT", f"networks/{shared['id']}", {"network": {"name": "mine"}}, 403)
    api.refused("DELETE", f"networks/{shared['id']}", None, 403)
    api.refused("PUT", f"subnets/{subnet['id']}", {"subnet": {"name": "mine"}}, 403)
    api.refused("POST", "subnets", {"subnet": {"network_id": shared["id"], "cidr": "10.8.0.0/24"}}, 403)
    api.refused(
        "POST", "ports", {"port": {"network_id": shared["id"], "mac_address": "fa:16:3e:00:00:01"}}, 403
    )
    admin_api.refused("PUT", f"networks/{shared['id']}", {"network": {"shared": False}}, 409)


def test_an_external_network_is_seen_but_takes_no_ports_of_others(admin_api, api):
    external = admin_api.make("network", **{"router:external": True})
    admin_api.make("subnet", network_id=external["id"], cidr="172.31.0.0/24")
    [seen] = api.get("networks", **{"router:external": "true"})["networks"]
    assert (seen["id"], seen["subnets"]) == (external["id"], [])
    api.refused("POST", "ports", {"port": {"network_id": external["id"]}}, 403)


def test_a_reader_reads_and_changes_nothing(tenant, api, net):
    reader = Api(dataclasses.replace(tenant, roles=frozenset({"reader"})))
    assert reader.get("networks")["networks"][0]["id"] == net["id"]
    reader.refused("POST", "networks", {"network": {}}, 403)
    reader.refused("DELETE", f"networks/{net['id']}", None, 403)


def test_lists_are_filtered(api, net, sub):
    other = api.make("network", name="other", admin_state_up=False)
    port = api.make("port", network_id=net["id"], name="p", device_id="dev")

    def ids(plural: str, **query) -> list[str]:
        return [thing["id"] for thing in api.get(plural, **query)[plural]]

    assert ids("networks", name="other") == ids("networks", admin_state_up="False") == [other["id"]]
    assert ids("networks", name=["n", "other"]) == [net["id"], other["id"]]
    assert ids("networks", id="not-an-id") == ids("networks", status="DOWN") == []
    assert ids("networks", mtu="1450") == [net["id"], other["id"]]
    assert ids("subnets", cidr="10.0.0.0/24", ip_version="4") == [sub["id"]]
    assert ids("ports", device_id="dev") == ids("ports", fixed_ips="ip_address=10.0.0.3") == [port["id"]]
    assert len(ids("ports", fixed_ips=f"subnet_id={sub['id']}")) == 2
    assert ids("ports", fixed_ips="ip_address_substr=0.0.3", network_id=net["id"]) == [port["id"]]
    assert ids("ports", mac_address=port["mac_address"]) == [port["id"]]


def test_fields_are_chosen(api, net):
    assert api.get("networks", fields=["id", "name"]) == {"networks": [{"id": net["id"], "name": "n"}]}
    assert api.get(f"networks/{net['id']}", fields="name") == {"network": {"name": "n"}}


def test_pages_go_both_ways_in_any_order(api):
    made = [api.make("network", name=name)["id"] for name in ("b", "a", "b", "c")]
    first = api.get("networks", limit="3", sort_key="name", sort_dir="desc")
    assert [network["name"] for network in first["networks"]] == ["c", "b", "b"]
    [link] = first["networks_links"]
    assert link["rel"] == "next"
    assert "marker=" in link["href"]
    marker = first["networks"][-1]["id"]
    rest = api.get("networks", limit="3", sort_key="name", sort_dir="desc", marker=marker)
    assert [network["name"] for network in rest["networks"]] == ["a"]
    back = api.get("networks", limit="2", page_reverse="True", marker=made[3])
    assert [network["id"] for network in back["networks"]] == made[1:3]


@pytest.mark.parametrize(
    "query",
    [
        {"nonsense": "1"},
        {"limit": "-1"},
        {"limit": "many"},
        {"marker": "x"},
        {"marker": ONE},
        {"sort_key": "nonsense"},
        {"sort_key": "name", "sort_dir": "up"},
        {"sort_dir": "asc"},
        {"shared": "perhaps"},
        {"mtu": "big"},
        {"name": "nul\0"},
    ],
)
def test_a_query_that_means_nothing_is_refused(api, net, query):
    assert api.call("GET", "networks", expect=400, **query)["NeutronError"]["message"]


def test_query_counts_do_not_grow_with_rows(api, net, sub, django_assert_max_num_queries):
    for _ in range(5):
        api.make("port", network_id=net["id"])
        api.make("network")
    for plural in ("networks", "subnets", "ports"):
        revocation.assume_current()
        with django_assert_max_num_queries(3):
            api.get(plural)


def test_no_token_is_401_and_an_unknown_path_404(client, db):
    assert client.get("/network/v2.0/networks").status_code == 401
    assert client.get("/network/v2.0/nonsense").json()["NeutronError"]


def test_extensions_and_quotas_are_told_truly(api, tenant, net):
    aliases = {extension["alias"] for extension in api.get("extensions")["extensions"]}
    assert {"external-net", "net-mtu", "security-group"} <= aliases
    assert "router" not in aliases
    assert api.get("extensions/net-mtu")["extension"]["alias"] == "net-mtu"
    api.refused("GET", "extensions/router", None, 404)
    assert api.get(f"quotas/{tenant.project_id}")["quota"] == LIMITS
    details = api.get(f"quotas/{tenant.project_id}/details.json")["quota"]
    assert details["network"] == {"limit": 100, "used": 1, "reserved": 0}
    api.refused("GET", f"quotas/{'0' * 32}", None, 404)


def test_the_automatic_network_is_made_on_request(api, tenant):
    path = f"auto-allocated-topology/{tenant.project_id}"
    assert api.get(path, fields="dry-run")["auto_allocated_topology"]["id"] == "dry-run=pass"
    assert counts() == (0, 0, 0, 0)
    found = api.get(path)["auto_allocated_topology"]
    assert found["id"] == api.get("auto-allocated-topology/None")["auto_allocated_topology"]["id"]
    assert counts() == (1, 1, 1, 1)
    api.refused("GET", f"auto-allocated-topology/{'0' * 32}", None, 404)
