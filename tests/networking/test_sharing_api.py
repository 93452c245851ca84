"""Sharing by RBAC policies, tags, and making several at once over HTTP."""

from uuid import uuid4

import pytest

from networking.models import Network, Port, RbacPolicy, Subnet

ONE = str(uuid4())


@pytest.fixture
def net(api) -> dict:
    network = api.make("network", name="n")
    api.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    return network


def share(api, expect=201, **fields):
    body = {"rbac_policy": {"action": "access_as_shared", "object_type": "network", **fields}}
    answer = api.call("POST", "rbac-policies", body, expect)
    return answer["rbac_policy"] if expect == 201 else answer["NeutronError"]


def test_a_network_is_shared_with_one_project_and_taken_back(api, strangers_api, stranger, net):
    strangers_api.refused("GET", f"networks/{net['id']}", None, 404)
    policy = share(api, object_id=net["id"], target_tenant=stranger.project_id)
    seen = strangers_api.get(f"networks/{net['id']}")["network"]
    assert (seen["shared"], len(seen["subnets"])) == (True, 1)
    assert not api.get(f"networks/{net['id']}")["network"]["shared"]
    port = strangers_api.make("port", network_id=net["id"])
    assert port["fixed_ips"][0]["ip_address"] == "10.0.0.3"
    strangers_api.refused("PUT", f"networks/{net['id']}", {"network": {"name": "mine"}}, 403)
    path = f"rbac-policies/{policy['id']}"
    assert strangers_api.get(path)["rbac_policy"] == policy
    strangers_api.refused("DELETE", path, None, 403)
    assert api.refused("DELETE", path, None, 409)["type"] == "RbacPolicyInUse"
    strangers_api.call("DELETE", f"ports/{port['id']}", expect=204)
    api.call("DELETE", path, expect=204)
    strangers_api.refused("GET", f"networks/{net['id']}", None, 404)


def test_sharing_with_all_takes_an_administrator_and_is_what_the_flag_says(
    api, admin_api, strangers_api, net
):
    share(api, 403, object_id=net["id"], target_tenant="*")
    policy = share(admin_api, object_id=net["id"], target_tenant="*")
    assert strangers_api.get(f"networks/{net['id']}")["network"]["shared"]
    admin_api.call("DELETE", f"rbac-policies/{policy['id']}", expect=204)
    assert not Network.objects.get(pk=net["id"]).shared
    admin_api.change("network", net["id"], shared=True)
    [again] = admin_api.get("rbac-policies", object_id=net["id"])["rbac_policies"]
    assert again["target_tenant"] == "*"
    admin_api.change("network", net["id"], shared=False)
    assert RbacPolicy.objects.count() == 0


def test_a_security_group_is_shared(api, strangers_api, stranger):
    group = api.call("POST", "security-groups", {"security_group": {"name": "g"}}, 201)["security_group"]
    share(api, object_type="security_group", object_id=group["id"], target_tenant=stranger.project_id)
    seen = strangers_api.get(f"security-groups/{group['id']}")["security_group"]
    assert seen["shared"]
    strangers_api.refused("DELETE", f"security-groups/{group['id']}", None, 403)
    body = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress"}}
    strangers_api.refused("POST", "security-group-rules", body, 403)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"object_type": "router"}, 400),
        ({"action": "access_as_friend"}, 400),
        ({"object_type": "security_group", "action": "access_as_external"}, 400),
        ({"action": "access_as_external"}, 403),
        ({"object_id": ONE}, 404),
        ({"object_id": "x"}, 400),
        ({"target_tenant": ""}, 400),
        ({"target_tenant": "a b"}, 400),
        ({"target_tenant": 5}, 400),
    ],
)
def test_a_wrong_policy_is_refused(api, net, fields, status):
    share(api, status, **{"object_id": net["id"], "target_tenant": "0" * 32, **fields})
    assert RbacPolicy.objects.count() == 0


def test_the_same_policy_twice_is_a_conflict(api, net):
    share(api, object_id=net["id"], target_tenant="0" * 32)
    fault = share(api, 409, object_id=net["id"], target_tenant="0" * 32)
    assert fault["type"] == "DuplicateRbacPolicy"


def test_another_tenant_can_not_share_what_is_not_his(strangers_api, net):
    assert share(strangers_api, 404, object_id=net["id"], target_tenant="0" * 32)["type"] == "NetworkNotFound"


def test_policies_go_with_their_network(api, net):
    share(api, object_id=net["id"], target_tenant="0" * 32)
    api.call("DELETE", f"networks/{net['id']}", expect=204)
    assert RbacPolicy.objects.count() == 0


@pytest.mark.parametrize("plural", ["networks", "subnets", "ports", "security-groups"])
def test_tags_are_replaced_added_removed_and_filtered_by(api, net, plural):
    if plural == "ports":
        api.make("port", network_id=net["id"], name="tagged")
    key = plural.replace("-", "_")
    thing = api.get(plural)[key][-1]["id"]
    path = f"{plural}/{thing}/tags"
    assert api.call("PUT", path, {"tags": ["rot", "grün", "rot"]}) == {"tags": ["grün", "rot"]}
    api.call("PUT", f"{path}/a%2Fb", expect=201)
    api.call("GET", f"{path}/rot", expect=204)
    api.refused("GET", f"{path}/blau", None, 404)
    assert api.get(path) == {"tags": ["a/b", "grün", "rot"]}

    def found(**query) -> bool:
        return thing in [one["id"] for one in api.get(plural, **query)[key]]

    assert found(tags="rot,grün")
    assert not found(tags="rot,blau")
    assert found(**{"tags-any": "rot,blau"})
    assert found(**{"not-tags": "rot,blau"})
    assert not found(**{"not-tags-any": "rot,blau"})
    assert not found(tags="ro")
    api.call("DELETE", f"{path}/rot", expect=204)
    assert api.refused("DELETE", f"{path}/rot", None, 404)["type"] == "TagNotFound"
    api.call("DELETE", path, expect=204)
    assert api.get(path) == {"tags": []}


@pytest.mark.parametrize("tags", [["x" * 61], [""], [5], "rot", ["t"] * 51, ["nul\0"]])
def test_wrong_tags_are_refused(api, net, tags):
    api.refused("PUT", f"networks/{net['id']}/tags", {"tags": tags}, 400)
    assert api.get(f"networks/{net['id']}/tags") == {"tags": []}


def test_anothers_tags_are_not_there(strangers_api, net):
    strangers_api.refused("GET", f"networks/{net['id']}/tags", None, 404)
    strangers_api.refused("PUT", f"networks/{net['id']}/tags", {"tags": ["mine"]}, 404)
    strangers_api.refused("PUT", f"networks/{net['id']}/tags/mine", None, 404)
    strangers_api.refused("GET", "networks/not-an-id/tags", None, 404)


def test_several_are_made_at_once_or_none(api, net):
    made = api.call("POST", "networks", {"networks": [{"name": "a"}, {"name": "b"}]}, 201)["networks"]
    assert [network["name"] for network in made] == ["a", "b"]
    ranges = [{"network_id": one["id"], "cidr": "10.3.0.0/24"} for one in made]
    assert len(api.call("POST", "subnets", {"subnets": ranges}, 201)["subnets"]) == 2
    before = (Network.objects.count(), Subnet.objects.count(), Port.objects.count())
    api.refused("POST", "networks", {"networks": [{"name": "c"}, {"mtu": 1}]}, 400)
    api.refused("POST", "subnets", {"subnets": [{**ranges[0], "cidr": "10.4.0.0/24"}, ranges[0]]}, 400)
    ports = [{"network_id": net["id"], "fixed_ips": [{"ip_address": "10.0.0.9"}]}] * 2
    assert api.refused("POST", "ports", {"ports": ports}, 409)["type"] == "IpAddressInUse"
    for wrong in ([], {}, [{}] * 101, "many"):
        api.refused("POST", "networks", {"networks": wrong}, 400)
    assert (Network.objects.count(), Subnet.objects.count(), Port.objects.count()) == before
