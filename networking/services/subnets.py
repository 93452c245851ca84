"""Making, changing and deleting subnets, and the address at which each one's DHCP server answers."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.db.models import F

from computecloud.wire.caller import Caller
from computecloud.wire.errors import Conflict, InvalidInput
from networking import addressing, names, selectors
from networking.addressing import Address, Cidr
from networking.errors import (
    IpAddressGenerationFailure,
    IpAddressInUse,
    NetworkNotFound,
    SubnetInUse,
    SubnetNotFound,
    SubnetOverlaps,
)
from networking.models import Network, Port, PortAddress, PortStatus, Subnet
from networking.services import counting, spreading
from networking.services.allocation import AUTOMATIC, take_any, until_unique
from networking.services.networks import own_to_change
from networking.services.ports import DHCP
from workers.models import utc_now

STATEFUL = "dhcpv6-stateful"
FIRST = "first"  # as gateway: the range's first address


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubnet:
    """What a subnet is made of; gateway: an address, None for none, or FIRST; pools None: all but the gateway."""

    network_id: UUID
    cidr: str
    ip_version: int = 4
    name: str = ""
    description: str = ""
    gateway: str | None = FIRST
    enable_dhcp: bool = True
    pools: list[dict[str, str]] | None = None
    dns_nameservers: list[str] = field(default_factory=list)
    host_routes: list[dict[str, str]] = field(default_factory=list)
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None


def create_subnet(new: NewSubnet, *, caller: Caller) -> Subnet:
    """Make a subnet; raises NetworkNotFound, PolicyNotAuthorized, OverQuota and what add_subnet raises."""
    network = selectors.network(caller, new.network_id)
    own_to_change(network, caller, "create_subnet")

    def write(attempt: int) -> Subnet:
        counting.admit(network.project_id, "subnet")
        return add_subnet(new, network=network, attempt=attempt)

    return until_unique(write)


def add_subnet(new: NewSubnet, *, network: Network, attempt: int) -> Subnet:
    """Write the row; call it in until_unique's write.

    Raises InvalidInput and Conflict about the range, its gateway and its pools; SubnetOverlaps.
    """
    cidr = addressing.parse_cidr(new.cidr, new.ip_version)
    gateway = _gateway(new.gateway, cidr)
    if new.enable_dhcp and cidr.prefixlen > cidr.max_prefixlen - 2:
        raise InvalidInput(
            "Invalid input for operation: Subnet has a prefix length that is incompatible with DHCP."
        )
    _check_modes(new, cidr)
    pools = (
        addressing.default_pools(cidr, gateway)
        if new.pools is None
        else addressing.check_pools(new.pools, cidr, gateway)
    )
    _alone_with(network.pk)
    _check_overlap(network, cidr)
    subnet = Subnet.objects.create(
        id=uuid4(),
        network=network,
        project_id=network.project_id,
        name=new.name,
        description=new.description,
        ip_version=new.ip_version,
        cidr=str(cidr),
        gateway_ip=None if gateway is None else str(gateway),
        enable_dhcp=new.enable_dhcp,
        pools=pools,
        dns_nameservers=new.dns_nameservers,
        host_routes=_routes(new.host_routes),
        ipv6_ra_mode=new.ipv6_ra_mode,
        ipv6_address_mode=new.ipv6_address_mode,
        cursor=addressing.as_offsets(cidr, pools)[0].start if pools else 0,
    )
    _serve_dhcp(subnet, attempt)
    spreading.network_changed([network.pk])
    return subnet


def update_subnet(subnet_id: UUID, changes: dict[str, Any], *, caller: Caller) -> Subnet:
    """Change name, description, gateway_ip, enable_dhcp, pools, dns_nameservers or host_routes.

    The hosts of its guests follow; guests learn of it when they ask DHCP again.
    Raises as add_subnet does, and SubnetNotFound, PolicyNotAuthorized, IpAddressInUse.
    """
    subnet = selectors.subnet(caller, subnet_id)
    own_to_change(subnet.network, caller, "update_subnet")
    cidr = ipaddress.ip_network(subnet.cidr)
    checked = dict(changes)
    gateway = _gateway(checked.get("gateway_ip", subnet.gateway_ip), cidr)
    if "gateway_ip" in checked:
        checked["gateway_ip"] = None if gateway is None else str(gateway)
    if checked.keys() & {"gateway_ip", "pools"}:
        checked["pools"] = addressing.check_pools(checked.get("pools", subnet.pools), cidr, gateway)
    if checked.get("enable_dhcp") is False and (subnet.ipv6_ra_mode or subnet.ipv6_address_mode):
        raise InvalidInput(
            "Invalid input for operation: Cannot disable enable_dhcp with ipv6 attributes set."
        )
    if "host_routes" in checked:
        checked["host_routes"] = _routes(checked["host_routes"])

    def write(attempt: int) -> None:
        touched = Subnet.objects.filter(pk=subnet_id)
        if not touched.update(revision=F("revision") + 1, updated_at=utc_now(), **checked):
            raise SubnetNotFound(subnet_id)
        if (
            gateway is not None
            and PortAddress.objects.filter(subnet=subnet_id, address=str(gateway)).exists()
        ):
            raise IpAddressInUse(subnet.network_id, gateway)
        _serve_dhcp(touched.get(), attempt)
        spreading.network_changed([subnet.network_id])

    until_unique(write)
    return selectors.subnet(caller, subnet_id)


def delete_subnet(subnet_id: UUID, *, caller: Caller) -> None:
    """Delete a subnet; raises SubnetNotFound, PolicyNotAuthorized, SubnetInUse."""
    subnet = selectors.subnet(caller, subnet_id)
    own_to_change(subnet.network, caller, "delete_subnet")

    def write(_attempt: int) -> None:
        _alone_with(subnet.network_id)
        addresses = PortAddress.objects.filter(subnet=subnet_id)
        if addresses.exclude(port__device_owner=DHCP).exists():
            raise SubnetInUse(subnet_id)
        addresses.delete()
        Subnet.objects.filter(pk=subnet_id).delete()
        _drop_idle_dhcp_port(subnet.network_id)
        spreading.network_changed([subnet.network_id])

    until_unique(write)


def _check_modes(new: NewSubnet, cidr: Cidr) -> None:
    """Raise InvalidInput where the ways by which guests learn their IPv6 addresses do not go together."""
    ra_mode, address_mode = new.ipv6_ra_mode, new.ipv6_address_mode
    if ra_mode is None and address_mode is None:
        return
    if not new.enable_dhcp:
        raise InvalidInput(
            "Invalid input for operation: ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to "
            "False."
        )
    if ra_mode is not None and address_mode is not None and ra_mode != address_mode:
        raise InvalidInput(
            f"Invalid input for operation: ipv6_ra_mode set to '{ra_mode}' with ipv6_address_mode set to "
            f"'{address_mode}' is not valid. If both attributes are set, they must be the same value."
        )
    if address_mode in AUTOMATIC and cidr.prefixlen != 64:
        raise InvalidInput(
            f"Invalid input for operation: Invalid CIDR {cidr} for IPv6 address mode. OpenStack uses the EUI-64 "
            "address format, which requires the prefix to be /64."
        )


def _gateway(wanted: str | None, cidr: Cidr) -> Address | None:
    text = addressing.default_gateway(cidr) if wanted == FIRST else wanted
    if text is None:
        return None
    try:
        gateway = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidInput(
            f"Invalid input for gateway_ip. Reason: '{text}' is not a valid IP address."
        ) from None
    addressing.check_gateway(gateway, cidr)
    return gateway


def _routes(routes: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    checked = []
    for route in routes:
        try:
            destination = ipaddress.ip_network(route["destination"])
            nexthop = ipaddress.ip_address(route["nexthop"])
        except (KeyError, TypeError, ValueError):
            raise InvalidInput(
                f"Invalid input for host_routes. Reason: '{route}' is not a valid route."
            ) from None
        if destination.version != nexthop.version:
            raise InvalidInput(f"Invalid input for host_routes. Reason: '{route}' mixes IP versions.")
        checked.append({"destination": str(destination), "nexthop": str(nexthop)})
    return checked


def _alone_with(network_id: UUID) -> None:
    """Write the network's row first, so that two requests do not each make a range that overlaps the other's."""
    rows = Network.objects.filter(pk=network_id)
    if not rows.update(revision=F("revision") + 1, updated_at=utc_now()):
        raise NetworkNotFound(network_id)


def _check_overlap(network: Network, cidr: Cidr) -> None:
    """Raise SubnetOverlaps where the range meets another of the network, or, of external ones, of any of them."""
    near = Subnet.objects.filter(network__external=True) if network.external else network.subnets.all()
    for other in near.filter(ip_version=cidr.version).values_list("cidr", flat=True):
        if ipaddress.ip_network(other).overlaps(cidr):
            raise SubnetOverlaps(
                f"Invalid input for operation: Requested subnet with cidr: {cidr} for network: {network.pk} "
                f"overlaps with another subnet ({other})."
            )


def _serve_dhcp(subnet: Subnet, attempt: int) -> None:
    """Give the subnet an address for DHCP, or take it back, as enable_dhcp says; not where guests need no server's."""
    wanted = subnet.enable_dhcp and (subnet.ip_version == 4 or subnet.ipv6_address_mode == STATEFUL)
    if wanted == (subnet.dhcp_address is not None):
        return
    if wanted:
        port, _ = Port.objects.get_or_create(pk=_dhcp_port_id(subnet.network_id), defaults=_dhcp_port(subnet))
        taken = take_any(port, subnet, attempt)
        if taken is None:
            raise Conflict(str(IpAddressGenerationFailure(subnet.network_id)) + " DHCP needs one of its own.")
        address: str | None = taken.address
    else:
        PortAddress.objects.filter(subnet=subnet, port__device_owner=DHCP).delete()
        _drop_idle_dhcp_port(subnet.network_id)
        address = None
    Subnet.objects.filter(pk=subnet.pk).update(dhcp_address=address)
    subnet.dhcp_address = address


def _dhcp_port_id(network_id: UUID) -> UUID:
    return uuid5(network_id, "dhcp")


def _dhcp_port(subnet: Subnet) -> dict[str, Any]:
    return {
        "network_id": subnet.network_id,
        "project_id": subnet.project_id,
        "mac": names.mac(_dhcp_port_id(subnet.network_id)),
        "device_owner": DHCP,
        "device_id": f"dhcp-{subnet.network_id}",
        "status": PortStatus.ACTIVE,
    }


def _drop_idle_dhcp_port(network_id: UUID) -> None:
    Port.objects.filter(pk=_dhcp_port_id(network_id), addresses=None).delete()
