"""Security groups and their rules over HTTP: what is shown, to whom, and what is refused with nothing left behind."""

from uuid import uuid4

import pytest

from identity import revocation
from networking.models import PortGroup, SecurityGroup, SecurityGroupRule
from networking.services import bind, counting, plan
from tests.networking.conftest import a_network, a_subnet

ONE = str(uuid4())


@pytest.fixture
def group(api) -> dict:
    return api.call("POST", "security-groups", {"security_group": {"name": "web"}}, 201)["security_group"]


def rule(api, group, expect=201, **fields):
    body = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress", **fields}}
    answer = api.call("POST", "security-group-rules", body, expect)
    return answer["security_group_rule"] if expect == 201 else answer["NeutronError"]


def counts() -> tuple[int, int]:
    return SecurityGroup.objects.count(), SecurityGroupRule.objects.count()


def the_default(api) -> dict:
    [found] = api.get("security-groups", name="default")["security_groups"]
    return found


def test_a_project_begins_with_a_group_that_lets_all_out_and_its_own_ports_in(api, tenant):
    group = the_default(api)
    said = {
        (one["direction"], one["ethertype"], one["remote_group_id"]) for one in group["security_group_rules"]
    }
    assert said == {
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
        ("ingress", "IPv4", group["id"]),
        ("ingress", "IPv6", group["id"]),
    }
    assert group["project_id"] == tenant.project_id
    assert the_default(api)["id"] == group["id"]
    assert counts() == (1, 4)


def test_a_group_is_made_shown_changed_and_deleted(api, group):
    assert {one["direction"] for one in group["security_group_rules"]} == {"egress"}
    changed = api.call("PUT", f"security-groups/{group['id']}", {"security_group": {"name": "db"}})
    assert (changed["security_group"]["name"], changed["security_group"]["revision_number"]) == ("db", 1)
    assert api.get(f"security-groups/{group['id']}") == changed
    api.call("DELETE", f"security-groups/{group['id']}", expect=204)
    fault = api.refused("GET", f"security-groups/{group['id']}", None, 404)
    assert fault["type"] == "SecurityGroupNotFound"
    assert counts() == (1, 4)


def test_a_rule_is_made_shown_described_and_deleted(api, group):
    made = rule(
        api, group, protocol="TCP", port_range_min=80, port_range_max=90, remote_ip_prefix="10.0.0.5/24"
    )
    assert (made["protocol"], made["port_range_min"], made["port_range_max"]) == ("tcp", 80, 90)
    assert (made["remote_ip_prefix"], made["ethertype"]) == ("10.0.0.5/24", "IPv4")
    assert made["normalized_cidr"] == "10.0.0.0/24"
    body = {"security_group_rule": {"description": "the web"}}
    changed = api.call("PUT", f"security-group-rules/{made['id']}", body)["security_group_rule"]
    assert changed["description"] == "the web"
    assert api.get("security-group-rules", protocol="tcp")["security_group_rules"] == [changed]
    body = {"security_group_rule": {"protocol": "udp"}}
    api.refused("PUT", f"security-group-rules/{made['id']}", body, 400)
    api.call("DELETE", f"security-group-rules/{made['id']}", expect=204)
    fault = api.refused("DELETE", f"security-group-rules/{made['id']}", None, 404)
    assert fault["type"] == "SecurityGroupRuleNotFound"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"protocol": "any"},
        {"protocol": 112},
        {"protocol": "icmp", "port_range_min": 8},
        {"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
        {"protocol": "icmp", "ethertype": "IPv6", "port_range_min": 128},
        {"protocol": "ipv6-icmp", "ethertype": "ipv6"},
        {"protocol": "6", "port_range_min": "22", "port_range_max": "22"},
        {"protocol": "udp", "remote_ip_prefix": "10.0.0.1"},
        {"ethertype": "IPv6", "remote_ip_prefix": "fd00::/8"},
        {"remote_group_id": "ITSELF"},
    ],
)
def test_a_rule_may_say_much(api, group, fields):
    fields = {key: group["id"] if value == "ITSELF" else value for key, value in fields.items()}
    assert rule(api, group, **fields)["id"]


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"direction": "sideways"}, 400, "InvalidInput"),
        ({"ethertype": "IPX"}, 400, "SecurityGroupRuleInvalidEtherType"),
        ({"protocol": "tpc"}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "256"}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "-1"}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": ["tcp"]}, 400, "InvalidInput"),
        ({"protocol": "ipv6-icmp"}, 400, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"port_range_min": 80, "port_range_max": 80}, 400, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "tcp", "port_range_min": 80}, 400, "SecurityGroupInvalidPortRange"),
        (
            {"protocol": "tcp", "port_range_min": 90, "port_range_max": 80},
            400,
            "SecurityGroupInvalidPortRange",
        ),
        (
            {"protocol": "tcp", "port_range_min": 0, "port_range_max": 80},
            400,
            "SecurityGroupInvalidPortValue",
        ),
        (
            {"protocol": "udp", "port_range_min": 1, "port_range_max": 65_536},
            400,
            "SecurityGroupInvalidPortValue",
        ),
        (
            {"protocol": "tcp", "port_range_min": "x", "port_range_max": 80},
            400,
            "SecurityGroupInvalidPortValue",
        ),
        ({"protocol": "icmp", "port_range_min": 256}, 400, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_max": 0}, 400, "SecurityGroupMissingIcmpType"),
        (
            {"protocol": "esp", "port_range_min": 1, "port_range_max": 2},
            400,
            "SecurityGroupInvalidProtocolForPortRange",
        ),
        ({"remote_ip_prefix": "ten"}, 400, "InvalidCIDR"),
        ({"remote_ip_prefix": "10.0.0.0/33"}, 400, "InvalidCIDR"),
        ({"remote_ip_prefix": "fd00::/8"}, 400, "SecurityGroupRuleParameterConflict"),
        (
            {"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "ITSELF"},
            400,
            "SecurityGroupRemoteGroupAndRemoteIpPrefix",
        ),
        ({"remote_group_id": ONE}, 404, "SecurityGroupNotFound"),
        ({"remote_group_id": "bad_group_id"}, 404, "SecurityGroupNotFound"),
        ({"remote_group_id": 5}, 400, "InvalidInput"),
        ({"security_group_id": ONE}, 404, "SecurityGroupNotFound"),
        ({"security_group_id": "x"}, 404, "SecurityGroupNotFound"),
        ({"nonsense": 1}, 400, "InvalidInput"),
        ({"description": "nul\0"}, 400, "InvalidInput"),
    ],
)
def test_a_wrong_rule_is_refused_and_leaves_nothing(api, group, fields, status, kind):
    before = counts()
    fields = {key: group["id"] if value == "ITSELF" else value for key, value in fields.items()}
    assert rule(api, group, status, **fields)["type"] == kind
    assert counts() == before


def test_the_same_rule_twice_is_a_conflict_that_names_the_first(api, group):
    made = rule(api, group, protocol="tcp", port_range_min=22, port_range_max=22)
    fault = rule(api, group, 409, protocol="6", port_range_min=22, port_range_max=22, description="again")
    assert fault["type"] == "SecurityGroupRuleExists"
    assert made["id"] in fault["message"]


def test_a_rule_is_its_group_s_project_s_whatever_else_is_said(api, tenant, stranger, group):
    made = rule(api, group, project_id=tenant.project_id, tenant_id=tenant.project_id)
    assert made["project_id"] == tenant.project_id
    before = counts()
    for key in ("project_id", "tenant_id"):
        fields = {"security_group_id": group["id"], "direction": "egress", key: stranger.project_id}
        fault = api.refused("POST", "security-group-rules", {"security_group_rule": fields}, 400)
        assert "belongs to its group's project" in fault["message"]
        fields = {"object_type": "security_group", "object_id": group["id"], key: stranger.project_id}
        fields |= {"action": "access_as_shared", "target_tenant": stranger.project_id}
        fault = api.refused("POST", "rbac-policies", {"rbac_policy": fields}, 400)
        assert "belongs to the project of what it shares" in fault["message"]
    assert counts() == before


def test_rules_are_made_all_or_none(api, group):
    one = {"security_group_id": group["id"], "direction": "ingress"}
    before = counts()
    wrong = [{**one, "protocol": "tcp"}, {**one, "protocol": "tpc"}]
    api.refused("POST", "security-group-rules", {"security_group_rules": wrong}, 400)
    twice = [{**one, "protocol": "tcp"}, {**one, "protocol": "6"}]
    api.refused("POST", "security-group-rules", {"security_group_rules": twice}, 409)
    other = [one, {**one, "security_group_id": the_default(api)["id"], "protocol": "tcp"}]
    fault = api.refused("POST", "security-group-rules", {"security_group_rules": other}, 400)
    assert fault["type"] == "SecurityGroupNotSingleGroupRules"
    assert counts() == before
    right = [{**one, "protocol": "tcp"}, {**one, "protocol": "udp"}]
    body = api.call("POST", "security-group-rules", {"security_group_rules": right}, 201)
    assert [made["protocol"] for made in body["security_group_rules"]] == ["tcp", "udp"]


def test_thousands_of_rules_take_a_quota_that_has_room_for_them(api, admin_api, tenant, group):
    one = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}
    many = [{**one, "port_range_min": port, "port_range_max": port} for port in range(1, 3_001)]
    bodies = [{"security_group_rules": many[first : first + 600]} for first in range(0, 3_000, 600)]
    fault = api.refused("POST", "security-group-rules", bodies[0], 409)
    assert fault == {
        "type": "OverQuota",
        "message": "Quota exceeded for resources: ['security_group_rule'].",
        "detail": "",
    }
    assert SecurityGroupRule.objects.filter(protocol="tcp").count() == 0
    api.refused("PUT", f"quotas/{tenant.project_id}", {"quota": {"security_group_rule": -1}}, 403)
    body = {"quota": {"security_group_rule": 5_000}}
    admin_api.call("PUT", f"quotas/{tenant.project_id}", body)
    for body in bodies:
        answer = api.call("POST", "security-group-rules", body, 201)
        assert len(answer["security_group_rules"]) == 600
    assert SecurityGroupRule.objects.filter(protocol="tcp").count() == 3_000
    assert api.refused("POST", "security-group-rules", bodies[4], 409)["type"] == "SecurityGroupRuleExists"
    assert api.get(f"quotas/{tenant.project_id}")["quota"]["security_group_rule"] == 5_000
    admin_api.call("DELETE", f"quotas/{tenant.project_id}", expect=204)
    assert api.get(f"quotas/{tenant.project_id}")["quota"] == counting.LIMITS


def test_the_default_group_is_neither_renamed_nor_deleted_nor_made_twice(api):
    group = the_default(api)
    path = f"security-groups/{group['id']}"
    fault = api.refused("PUT", path, {"security_group": {"name": "other"}}, 409)
    assert fault["type"] == "SecurityGroupCannotUpdateDefault"
    assert api.refused("DELETE", path, None, 409)["type"] == "SecurityGroupCannotRemoveDefault"
    fault = api.refused("POST", "security-groups", {"security_group": {"name": "default"}}, 409)
    assert fault["type"] == "SecurityGroupDefaultAlreadyExists"


def test_a_group_in_use_stays_and_one_that_rules_name_takes_them_along(api, tenant, group):
    network = a_network(tenant)
    a_subnet(tenant, network)
    port = api.make("port", network_id=str(network.id), security_groups=[group["id"]])
    assert port["security_groups"] == [group["id"]]
    assert api.refused("DELETE", f"security-groups/{group['id']}", None, 409)["type"] == "SecurityGroupInUse"
    made = rule(api, the_default(api), remote_group_id=group["id"])
    assert api.change("port", port["id"], security_groups=[])["security_groups"] == []
    api.call("DELETE", f"security-groups/{group['id']}", expect=204)
    api.refused("GET", f"security-group-rules/{made['id']}", None, 404)


def test_another_tenants_group_does_not_exist(api, strangers_api, stranger, group):
    made = rule(api, group)
    strangers_api.refused("GET", f"security-groups/{group['id']}", None, 404)
    strangers_api.refused("PUT", f"security-groups/{group['id']}", {"security_group": {"name": "x"}}, 404)
    strangers_api.refused("DELETE", f"security-groups/{group['id']}", None, 404)
    strangers_api.refused("GET", f"security-group-rules/{made['id']}", None, 404)
    strangers_api.refused("DELETE", f"security-group-rules/{made['id']}", None, 404)
    rule(strangers_api, group, 404)
    rule(strangers_api, the_default(strangers_api), 404, remote_group_id=group["id"])
    network = a_network(stranger)
    a_subnet(stranger, network)
    body = {"port": {"network_id": str(network.id), "security_groups": [group["id"]]}}
    fault = strangers_api.refused("POST", "ports", body, 404)
    assert fault["type"] == "SecurityGroupNotFound"
    assert group["id"] not in str(strangers_api.get("security-groups"))


def test_a_server_gets_the_groups_that_it_names_or_the_default_one(api, tenant, group, instance_id):
    network = a_network(tenant)
    a_subnet(tenant, network)
    for names, expected in (((), the_default(api)["id"]), (("web",), group["id"])):
        planned = plan(None, tenant, security_groups=names)
        [facts] = bind(uuid4(), tenant.project_id, "host1", planned)
        assert facts.groups == [expected]
        assert str(PortGroup.objects.get(port=facts.port_id).group_id) == expected


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"allowed_address_pairs": [{"ip_address": "ten"}]}, 400, "InvalidInput"),
        ({"allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:01"}]}, 400, "InvalidInput"),
        (
            {"allowed_address_pairs": [{"ip_address": "10.0.0.1", "mac_address": "01:00:5e:00:00:01"}]},
            400,
            "InvalidInput",
        ),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.1"}] * 2}, 400, "DuplicateAddressPairInRequest"),
        (
            {"allowed_address_pairs": [{"ip_address": f"10.0.1.{n}"} for n in range(11)]},
            400,
            "AllowedAddressPairExhausted",
        ),
        (
            {"port_security_enabled": False, "allowed_address_pairs": [{"ip_address": "10.0.0.1"}]},
            409,
            "AddressPairAndPortSecurityRequired",
        ),
        (
            {"port_security_enabled": False, "security_groups": ["GROUP"]},
            400,
            "PortSecurityAndIPRequiredForSecurityGroups",
        ),
        ({"security_groups": "GROUP"}, 400, "InvalidInput"),
    ],
)
def test_wrong_security_of_a_port_is_refused_and_leaves_nothing(api, tenant, group, fields, status, kind):
    network = a_network(tenant)
    a_subnet(tenant, network)
    if isinstance(fields.get("security_groups"), list):
        fields = fields | {"security_groups": [group["id"]]}
    fault = api.refused("POST", "ports", {"port": {"network_id": str(network.id), **fields}}, status)
    assert fault["type"] == kind
    assert PortGroup.objects.count() == 0


def test_port_security_is_the_networks_until_the_port_says_otherwise(api, tenant):
    open_net = api.make("network", port_security_enabled=False)
    port = api.make("port", network_id=open_net["id"])
    assert (port["port_security_enabled"], port["security_groups"]) == (False, [])
    changed = api.change(
        "port", port["id"], port_security_enabled=True, security_groups=[the_default(api)["id"]]
    )
    assert changed["port_security_enabled"]
    body = {"port": {"port_security_enabled": False}}
    fault = api.refused("PUT", f"ports/{port['id']}", body, 409)
    assert fault["type"] == "PortSecurityPortHasSecurityGroup"
    pairs = [{"ip_address": "10.9.0.0/16"}, {"ip_address": "10.8.0.1", "mac_address": "fa:16:3e:00:00:01"}]
    changed = api.change("port", port["id"], allowed_address_pairs=pairs)
    assert changed["allowed_address_pairs"] == [{**pairs[0], "mac_address": port["mac_address"]}, pairs[1]]


def test_query_counts_do_not_grow_with_rows(api, group, django_assert_max_num_queries):
    for port in range(1, 40):
        rule(api, group, protocol="tcp", port_range_min=port, port_range_max=port)
    for plural, most in (("security-groups", 5), ("security-group-rules", 3)):
        revocation.assume_current()
        with django_assert_max_num_queries(most):
            api.get(plural)
