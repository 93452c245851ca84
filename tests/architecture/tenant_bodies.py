"""A valid body of every request that has one, and what may stand in its places, in the words of tenant_templates.

A field that no template has fails a test, and so does one that a template has for nothing.
"""

from typing import Any

from computecloud.config import CONFIG
from computecloud.wire.services import COMPUTE, IMAGE, NETWORK
from images.api import documents as image
from images.api.patches import NEWEST
from instances.api import bodies, operator_bodies, server_bodies, server_group_bodies
from networking.api import serializers as network
from tests.architecture.tenant_identity import IDENTITY_BODIES
from tests.architecture.tenant_proxies import PROXY_BODIES
from tests.architecture.tenant_templates import (
    Slot,
    Template,
    below,
    filled_in,
    free,
    never,
    ref,
    template,
    word,
)
from tests.architecture.tenant_world import Tenant, public_key

IN_NETWORK = {"networks/0/uuid": "@network"}
DEVICE = {
    "imageRef": None,
    **{
        f"block_device_mapping_v2/0/{key}": value
        for key, value in {"boot_index": 0, "source_type": "image"}.items()
    },
    "block_device_mapping_v2/0/uuid": "@cloud_image",
}
HINTS = {
    "group": ref("server_group"),
    "same_host/0": free(
        "server"
    ),  # kept and shown as it came; the scheduler knows the project's own servers only
    "different_host/0": free("server"),
    "build_near_host_ip": free("address"),
    "cidr": word("/24"),
    "query": word('[">=", "$free_ram_mb", 64]'),
}
SERVER = {
    "name": free("server_name"),
    "flavorRef": ref("flavor"),
    "imageRef": ref("image"),
    "adminPass": free("server_name"),
    "metadata/word": free("server_name"),
    "networks/0/uuid": ref("network"),
    "networks/0/port": ref("free_port"),
    "networks/0/fixed_ip": ref("free_address", **IN_NETWORK),
    "networks/0/tag": free("server_name", **IN_NETWORK),
    "security_groups/0/name": ref("security_group_name", **IN_NETWORK),
    "key_name": ref("keypair"),
    "availability_zone": word(CONFIG.zone),
    "personality/0": never(),
    "block_device_mapping/0": never(),
    **{
        f"block_device_mapping_v2/0/{key}": free("server_name", **DEVICE)
        for key in ("device_name", "device_type", "disk_bus", "guest_format", "tag", "volume_type")
    },
    "block_device_mapping_v2/0/no_device/word": free("server_name", **DEVICE),
    "block_device_mapping_v2/0/uuid": ref("image", **DEVICE),
    "description": free("server_name"),
    "tags/0": free("server_tag"),
    "trusted_image_certificates/0": free("image"),
    "host": never(),
    "hypervisor_hostname": never(),
    "hostname": free("server_name"),
    "accessIPv4": free("address"),
    "accessIPv6": free("address6"),
}
_LEAST = {"name": "one", "flavorRef": "1", "imageRef": "@cloud_image", "networks": "none"}


def _server_body(tenant: Tenant) -> Any:
    return filled_in("server", **_LEAST)(tenant) | {"os:scheduler_hints": {}}


def _keypair(least: str) -> dict[str, Any]:
    return {"name": "one", "type": "ssh", "public_key": public_key(least)}


COMPUTE_BODIES = [
    Template(
        COMPUTE,
        "ServersView",
        "POST",
        server_bodies.CreateServerBody,
        _server_body,
        {
            **below("server", SERVER),
            **below("os:scheduler_hints", HINTS),
            **below("OS-SCH-HNT:scheduler_hints", {"group": HINTS["group"]}),
        },
        oldest={"server/networks": None, "server/networks/0/uuid": "@network"},
    ),
    template(
        COMPUTE,
        "ServerView",
        "PUT",
        server_bodies.UpdateServer,
        "server",
        least={"name": "one"},
        slots={
            **{key: SERVER[key] for key in ("name", "description", "hostname", "accessIPv4", "accessIPv6")},
            "pinned_availability_zone": never(),
        },
    ),
    *(
        template(COMPUTE, "ActionView", "POST", serializer, place, least=least, slots=slots, **more)
        for place, serializer, least, slots, more in (
            ("reboot", server_bodies.Reboot, {"type": "SOFT"}, {}, {}),
            ("lock", server_bodies.Lock, {}, {"locked_reason": free("server_name")}, {}),
            (
                "addSecurityGroup",
                server_bodies.SecurityGroup,
                {"name": "@other_group_name"},
                {"name": ref("other_group_name")},
                {},
            ),
            (
                "removeSecurityGroup",
                server_bodies.SecurityGroup,
                {"name": "@security_group_name"},
                {"name": ref("security_group_name")},
                {},
            ),
            ("os-resetState", server_bodies.ResetState, {"state": "error"}, {}, {"admins": True}),
            ("os-getConsoleOutput", server_bodies.ConsoleOutput, {"length": 5}, {}, {}),
        )
    ),
    *(
        template(
            COMPUTE,
            "MetadataView",
            method,
            server_bodies.MetadataBody,
            least={"metadata": {"a": "b"}},
            slots={"metadata/word": free("server_name")},
        )
        for method in ("POST", "PUT")
    ),
    template(
        COMPUTE,
        "MetaView",
        "PUT",
        server_bodies.MetaBody,
        least={"meta": {"role": "b"}},
        slots={"meta/role": free("server_name")},
    ),
    template(
        COMPUTE,
        "TagsView",
        "PUT",
        server_bodies.TagsBody,
        least={"tags": ["one"]},
        slots={"tags/0": free("server_tag")},
    ),
    template(
        COMPUTE,
        "KeypairsView",
        "POST",
        bodies.CreateKeypair,
        "keypair",
        least=_keypair("fresh"),
        oldest={"keypair/type": None},
        slots={
            "name": free("keypair"),
            "public_key": word(public_key("another")),
            "user_id": ref("user"),
        },
    ),
    template(
        COMPUTE,
        "ServerGroupsView",
        "POST",
        server_group_bodies.CreateServerGroup,
        "server_group",
        least={"name": "one", "policy": "affinity"},
        oldest={"server_group/policy": None, "server_group/policies": ["affinity"]},
        slots={"name": free("server_group_name")},
    ),
    template(
        COMPUTE,
        "FlavorsView",
        "POST",
        bodies.CreateFlavor,
        "flavor",
        least={"name": "one", "ram": 64, "vcpus": 1, "disk": 1},
        slots={"name": never(), "id": never(), "description": never()},
        admins=True,
    ),
    template(
        COMPUTE,
        "FlavorView",
        "PUT",
        bodies.UpdateFlavor,
        "flavor",
        least={"description": "one"},
        slots={"description": never()},
        admins=True,
    ),
    template(
        COMPUTE,
        "ExtraSpecsView",
        "POST",
        bodies.ExtraSpecsBody,
        least={"extra_specs": {"hw:cpu_policy": "shared"}},
        slots={"extra_specs/word": never()},
        admins=True,
    ),
    *(
        template(
            COMPUTE,
            "FlavorActionView",
            "POST",
            bodies.TenantAccess,
            place,
            least={"tenant": "@project"},
            slots={"tenant": never()},
            admins=True,
        )
        for place in ("addTenantAccess", "removeTenantAccess")
    ),
    template(
        COMPUTE,
        "ServiceView",
        "PUT",
        operator_bodies.UpdateService,
        least={"status": "disabled"},
        slots={"disabled_reason": never()},
        admins=True,
    ),
    template(
        COMPUTE,
        "ServiceView",
        "PUT",
        operator_bodies.NamedService,
        least={"host": "testhost", "binary": "nova-compute"},
        slots={"host": never(), "binary": never(), "disabled_reason": never()},
        admins=True,
    ),
    template(COMPUTE, "QuotaSetView", "PUT", operator_bodies.UpdateQuotaSet, "quota_set", admins=True),
    template(
        COMPUTE, "QuotaClassView", "PUT", operator_bodies.UpdateQuotaClass, "quota_class_set", admins=True
    ),
]

_IMAGE = {
    "name": free("image_name"),
    "owner": ref("project"),
    "tags/0": free("image_tag"),
    "properties/word": free("image"),
}


def _flat(body: dict[str, Any]) -> dict[str, Any]:
    properties = body.pop("properties", {})
    return {**body, **properties}


def _patch(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"op": "add", "path": f"/{key}", "value": value} for key, value in _flat(body).items()]


IMAGE_BODIES = [
    template(
        IMAGE,
        "ImagesView",
        "POST",
        image.NewImageDocument,
        least={"name": "one"},
        slots={**_IMAGE, "id": Slot("image", taken=True)},  # ids are of the whole cloud, as Glance's are
        write=_flat,
    ),
    template(
        IMAGE,
        "ImageView",
        "PATCH",
        image.ImageDocument,
        least={"name": "one"},
        slots=_IMAGE,
        write=_patch,
        headers={"Content_Type": NEWEST},
    ),
    template(
        IMAGE,
        "MembersView",
        "POST",
        image.MemberDocument,
        least={"member": "a" * 32},
        slots={"member": free("project")},  # one's own image is offered to anybody, as in Glance
    ),
    template(
        IMAGE,
        "MemberView",
        "PUT",
        image.AnswerDocument,
        least={"status": "accepted"},
    ),
]

_OWNED = {"name": free("network_name"), "description": free("server_name")}
_NEW = {**_OWNED, "project_id": ref("project"), "tenant_id": ref("project")}
_SUBNET = {
    **_OWNED,
    "gateway_ip": word(
        "10.9.9.254", **{"allocation_pools/0/start": "10.9.9.2", "allocation_pools/0/end": "10.9.9.200"}
    ),
    "allocation_pools/0/start": word("10.9.9.10", **{"allocation_pools/0/end": "10.9.9.20"}),
    "allocation_pools/0/end": word("10.9.9.20", **{"allocation_pools/0/start": "10.9.9.10"}),
    "dns_nameservers/0": free("address"),
    "host_routes/0/destination": word("10.8.0.0/24", **{"host_routes/0/nexthop": "10.9.9.9"}),
    "host_routes/0/nexthop": word("10.9.9.9", **{"host_routes/0/destination": "10.8.0.0/24"}),
}
_OLD_SUBNET = {
    path: slot
    if slot.free
    else Slot(
        slot.kind.replace("10.9.9.", "10.41.7."),
        beside={other: value.replace("10.9.9.", "10.41.7.") for other, value in slot.beside.items()},
    )
    for path, slot in _SUBNET.items()
}
_PORT = {
    "name": free("port_name"),
    "description": free("server_name"),
    "device_id": free(
        "server"
    ),  # a word of the owner's, as Neutron has it; who holds a port stands elsewhere
    "device_owner": free("server_name"),
    "mac_address": free("mac"),
    "fixed_ips/0/subnet_id": ref("subnet"),
    "fixed_ips/0/ip_address": ref("free_address"),
    "security_groups/0": ref("security_group"),
    "allowed_address_pairs/0/ip_address": free("address"),
    "allowed_address_pairs/0/mac_address": free("mac", **{"allowed_address_pairs/0/ip_address": "10.0.0.9"}),
}
_TCP = {"protocol": "tcp", "port_range_min": 1, "port_range_max": 9}
_RULE = {
    "security_group_id": ref("security_group"),
    "ethertype": word("IPv4"),
    "protocol": word("udp"),
    "port_range_min": word("1", **_TCP),
    "port_range_max": word("9", **_TCP),
    "remote_ip_prefix": free("address"),
    "remote_group_id": ref("security_group"),
    "description": free("server_name"),
    "project_id": ref("project"),
    "tenant_id": ref("project"),
}
_SHARED = {
    "object_type": "network",
    "object_id": "@network",
    "action": "access_as_shared",
    "target_tenant": "a" * 32,
}
_POLICY = {
    "object_type": word("network"),
    "object_id": ref("network"),
    "action": word("access_as_shared"),
    "target_tenant": free("project"),  # one's own network is shared with anybody, as in Neutron
    "project_id": ref("project"),
    "tenant_id": ref("project"),
}
NETWORK_BODIES = [
    template(NETWORK, view, method, serializer, place, least=least, slots=slots, **more)
    for view, method, serializer, place, least, slots, more in (
        ("Networks", "POST", network.NetworkCreate, "network", {"name": "one"}, _NEW, {}),
        ("Network", "PUT", network.NetworkUpdate, "network", {"name": "one"}, _OWNED, {}),
        (
            "Subnets",
            "POST",
            network.SubnetCreate,
            "subnet",
            {"network_id": "@network", "cidr": "10.9.9.0/24"},
            {**_NEW, **_SUBNET, "network_id": ref("network"), "cidr": word("10.9.9.0/24")},
            {},
        ),
        ("Subnet", "PUT", network.SubnetUpdate, "subnet", {"name": "one"}, _OLD_SUBNET, {}),
        (
            "Ports",
            "POST",
            network.PortCreate,
            "port",
            {"network_id": "@network"},
            {**_NEW, **_PORT, "network_id": ref("network")},
            {},
        ),
        (
            "Port",
            "PUT",
            network.PortUpdate,
            "port",
            {"name": "one"},
            _PORT,
            {"path": {"item_id": "free_port"}},
        ),
        ("SecurityGroups", "POST", network.SecurityGroupCreate, "security_group", {"name": "one"}, _NEW, {}),
        ("SecurityGroup", "PUT", network.SecurityGroupUpdate, "security_group", {"name": "one"}, _OWNED, {}),
        (
            "SecurityGroupRules",
            "POST",
            network.RuleCreate,
            "security_group_rule",
            {"security_group_id": "@security_group", "direction": "egress", "protocol": "tcp"},
            _RULE,
            {},
        ),
        (
            "SecurityGroupRule",
            "PUT",
            network.RuleUpdate,
            "security_group_rule",
            {"description": "one"},
            {"description": free("server_name")},
            {},
        ),
        ("RbacPolicies", "POST", network.RbacPolicyCreate, "rbac_policy", _SHARED, _POLICY, {}),
        (
            "RbacPolicy",
            "PUT",
            network.RbacPolicyUpdate,
            "rbac_policy",
            {"target_tenant": "b" * 32},
            {"target_tenant": free("project")},
            {},
        ),
        ("TagsOfOne", "PUT", network.Tags, "", {"tags": ["one"]}, {"tags/0": free("network_tag")}, {}),
        ("Quota", "PUT", network.QuotaUpdate, "quota", {"network": 5}, {}, {"admins": True}),
    )
]
TEMPLATES = [*COMPUTE_BODIES, *PROXY_BODIES, *IDENTITY_BODIES, *IMAGE_BODIES, *NETWORK_BODIES]
