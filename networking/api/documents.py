"""Networks, subnets and ports as the Network API shows them."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID, uuid5

from computecloud.wire.caller import Caller
from networking import selectors
from networking.models import Network, Owned, Port, Subnet
from networking.services.ports import DHCP

Document = dict[str, Any]


def networks(found: Sequence[Network], caller: Caller) -> list[Document]:
    """Return the documents of networks, with their subnets as far as the caller sees them; one query."""
    seen = selectors.subnets(caller).filter(network__in=[network.id for network in found])
    subnets: dict[UUID, list[str]] = {}
    for network_id, subnet_id in seen.values_list("network_id", "id"):
        subnets.setdefault(network_id, []).append(str(subnet_id))
    return [_network(network, subnets.get(network.id, [])) for network in found]


def subnets(found: Iterable[Subnet], _caller: Caller) -> list[Document]:
    """Return the documents of subnets."""
    return [_subnet(subnet) for subnet in found]


def ports(found: Sequence[Port], caller: Caller) -> list[Document]:
    """Return the documents of ports with their addresses; one query."""
    addresses = selectors.addresses_of(port.id for port in found)
    return [
        _port(
            port,
            [{"subnet_id": str(a.subnet_id), "ip_address": a.address} for a in addresses[port.id]],
            caller,
        )
        for port in found
    ]


def default_group_id(project_id: str) -> str:
    """Return the id of a project's default security group, which is not a row."""
    return str(uuid5(UUID(int=0), f"default security group of {project_id}"))


def _network(network: Network, subnet_ids: list[str]) -> Document:
    return {
        **_owned(network),
        "status": "ACTIVE",
        "admin_state_up": network.admin_state_up,
        "shared": network.shared,
        "router:external": network.external,
        "mtu": network.mtu,
        "subnets": subnet_ids,
        "port_security_enabled": True,
        "availability_zone_hints": [],
        "availability_zones": [],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
    }


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


def _port(port: Port, fixed_ips: list[dict[str, str]], caller: Caller) -> Document:
    document = {
        **_owned(port),
        "network_id": str(port.network_id),
        "mac_address": port.mac,
        "admin_state_up": port.admin_state_up,
        "status": port.status,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "fixed_ips": fixed_ips,
        "security_groups": [] if port.device_owner == DHCP else [default_group_id(port.project_id)],
        "port_security_enabled": port.port_security_enabled,
        "allowed_address_pairs": port.allowed_address_pairs,
        "binding:vnic_type": port.vnic_type,
    }
    if caller.is_admin:
        document["binding:host_id"] = port.host
        document["binding:vif_type"] = "bridge" if port.host else "unbound"
        document["binding:vif_details"] = {"port_filter": True} if port.host else {}
        document["binding:profile"] = port.profile
    return document


def _owned(row: Owned) -> Document:
    return {
        "id": str(row.id),
        "name": row.name,
        "description": row.description,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "tags": [],
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision_number": row.revision,
    }
