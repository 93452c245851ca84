"""Networks, subnets, ports, security groups and RBAC policies as the Network API shows them."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from computecloud.wire.caller import Caller
from networking import selectors
from networking.models import (
    Network,
    Owned,
    Port,
    PortStatus,
    RbacPolicy,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from networking.services.sharing import SHARED

Document = dict[str, Any]


def networks(found: Sequence[Network], caller: Caller) -> list[Document]:
    """Return the documents of networks, with their subnets as far as the caller sees them; two queries."""
    seen = selectors.subnets(caller).filter(network__in=[network.id for network in found])
    subnets: dict[UUID, list[str]] = {}
    for network_id, subnet_id in seen.values_list("network_id", "id"):
        subnets.setdefault(network_id, []).append(str(subnet_id))
    given = set(selectors.shared_with(caller.project_id or "", "network", SHARED))
    return [
        _network(network, subnets.get(network.id, []), caller, shared=network.shared or network.pk in given)
        for network in found
    ]


def subnets(found: Iterable[Subnet], _caller: Caller) -> list[Document]:
    """Return the documents of subnets."""
    return [_subnet(subnet) for subnet in found]


def ports(found: Sequence[Port], caller: Caller) -> list[Document]:
    """Return the documents of ports with their addresses and groups; two queries."""
    addresses = selectors.addresses_of(port.id for port in found)
    groups = selectors.groups_of(port.id for port in found)
    return [
        _port(
            port,
            [{"subnet_id": str(a.subnet_id), "ip_address": a.address} for a in addresses[port.id]],
            [str(group_id) for group_id in groups[port.id]],
            caller,
        )
        for port in found
    ]


def security_groups(found: Sequence[SecurityGroup], caller: Caller) -> list[Document]:
    """Return the documents of groups with their rules; two queries."""
    rules: dict[UUID, list[Document]] = {}
    for rule in SecurityGroupRule.objects.filter(group__in=[group.pk for group in found]):
        rules.setdefault(rule.group_id, []).append(_rule(rule))
    shared = set(selectors.shared_with(caller.project_id or "", "security_group", SHARED))
    return [
        {
            **_owned(group),
            "stateful": True,
            "shared": group.pk in shared,
            "security_group_rules": rules.get(group.pk, []),
        }
        for group in found
    ]


def security_group_rules(found: Iterable[SecurityGroupRule], _caller: Caller) -> list[Document]:
    """Return the documents of rules."""
    return [_rule(rule) for rule in found]


def rbac_policies(found: Iterable[RbacPolicy], _caller: Caller) -> list[Document]:
    """Return the documents of RBAC policies."""
    return [
        {
            "id": str(policy.pk),
            "project_id": policy.project_id,
            "tenant_id": policy.project_id,
            "object_type": policy.object_type,
            "object_id": str(policy.object_id),
            "action": policy.action,
            "target_tenant": policy.target,
        }
        for policy in found
    ]


def _rule(rule: SecurityGroupRule) -> Document:
    document = {
        **_owned(rule),
        "security_group_id": str(rule.group_id),
        "direction": rule.direction,
        "ethertype": f"IPv{rule.ip_version}",
        "protocol": rule.protocol,
        "port_range_min": rule.port_min,
        "port_range_max": rule.port_max,
        "remote_ip_prefix": rule.remote_prefix,
        "normalized_cidr": rule.normalized_prefix,
        "remote_group_id": str(rule.remote_group_id) if rule.remote_group_id else None,
        "remote_address_group_id": None,
    }
    del document["name"], document["tags"]
    return document


def _network(network: Network, subnet_ids: list[str], caller: Caller, *, shared: bool) -> Document:
    document = {
        **_owned(network),
        "status": "ACTIVE",
        "admin_state_up": network.admin_state_up,
        "shared": shared,
        "router:external": network.external,
        "mtu": network.mtu,
        "subnets": subnet_ids,
        "port_security_enabled": network.port_security_enabled,
        "availability_zone_hints": [],
        "availability_zones": [],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
    }
    if caller.is_admin:
        document["provider:network_type"] = "vxlan"
        document["provider:segmentation_id"] = network.vni
        document["provider:physical_network"] = None
    return document


def _subnet(subnet: Subnet) -> Document:
    return {
        **_owned(subnet),
        "network_id": str(subnet.network_id),
        "ip_version": subnet.ip_version,
        "cidr": subnet.cidr,
        "gateway_ip": subnet.gateway_ip,
        "enable_dhcp": subnet.enable_dhcp,
        "allocation_pools": subnet.pools,
        "dns_nameservers": subnet.dns_nameservers,
        "host_routes": subnet.host_routes,
        "ipv6_ra_mode": subnet.ipv6_ra_mode,
        "ipv6_address_mode": subnet.ipv6_address_mode,
        "subnetpool_id": None,
        "service_types": [],
    }


def _port(port: Port, fixed_ips: list[dict[str, str]], groups: list[str], caller: Caller) -> Document:
    document = {
        **_owned(port),
        "network_id": str(port.network_id),
        "mac_address": port.mac,
        "admin_state_up": port.admin_state_up,
        "status": port.status if port.admin_state_up else PortStatus.DOWN.value,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "fixed_ips": fixed_ips,
        "security_groups": groups,
        "port_security_enabled": port.port_security_enabled,
        "allowed_address_pairs": port.allowed_address_pairs,
        "binding:vnic_type": port.vnic_type,
    }
    if caller.is_admin:
        document["binding:host_id"] = port.host
        document["binding:vif_type"] = "bridge" if port.host else "unbound"
        document["binding:vif_details"] = {"port_filter": port.port_security_enabled} if port.host else {}
        document["binding:profile"] = port.profile
    return document


def _owned(row: Owned) -> Document:
    return {
        "id": str(row.id),
        "name": row.name,
        "description": row.description,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "tags": row.tags,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision_number": row.revision,
    }
