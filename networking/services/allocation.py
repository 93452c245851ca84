"""Handing out addresses: no two ports ever get the same one, and a full subnet says so.

A subnet's cursor is the offset of the next address to try. Whoever wants one raises the cursor first, which on
PostgreSQL holds the row until its transaction ends and on SQLite the database, and so has the offset to itself. What
was asked for by address, or is left from the round before, may still be in the way: then the unique constraint
refuses the row, and the next attempt looks for the first gap instead. Addresses go round, so one that was just given
back is not handed out again at once.
"""

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from computecloud.wire.errors import Conflict
from networking import addressing
from networking.addressing import Address, Pool
from networking.errors import (
    AllocationOnAutoAddressSubnet,
    InvalidIpForNetwork,
    IpAddressGenerationFailure,
    IpAddressInUse,
    SubnetNotFound,
)
from networking.models import Port, PortAddress, Subnet
from workers import sql

ATTEMPTS = 10
_TURN = "UPDATE networking_subnet SET cursor = cursor + 1 WHERE id = %(id)s RETURNING cursor, pools"
AUTOMATIC = ("slaac", "dhcpv6-stateless")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WantedIp:
    """An address as a request asks for it: this one, or any of a subnet, or any at all."""

    subnet_id: UUID | None = None
    address: str | None = None


def until_unique(write: Callable[[int], T]) -> T:
    """Run write(attempt) in a transaction, again while a unique constraint says that another was first.

    Raises Conflict where that does not end.
    """
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return write(attempt)
        except IntegrityError:
            continue
    raise Conflict("Too many requests change the same thing at once, or it is being deleted; try again.")


def give(port: Port, wanted: Iterable[WantedIp], subnets: list[Subnet], attempt: int) -> list[PortAddress]:
    """Give a saved port the wanted addresses, or one of each IP version that its network has.

    Call it in until_unique's write. Raises IpAddressInUse, IpAddressGenerationFailure, InvalidIpForNetwork,
    InvalidAddress, SubnetNotFound.
    """
    asked = list(wanted)
    if not asked:
        chosen = [subnet for subnet in subnets if not is_automatic(subnet)]
        versions = sorted({subnet.ip_version for subnet in chosen})
        given = [_any(port, [s for s in chosen if s.ip_version == version], attempt) for version in versions]
        return given + [take_own(port, subnet) for subnet in subnets if is_automatic(subnet)]
    return [_one(port, wish, subnets, attempt) for wish in asked]


def is_automatic(subnet: Subnet) -> bool:
    """Tell whether guests of the subnet make their addresses themselves, from its prefix and their cards."""
    return subnet.ipv6_address_mode in AUTOMATIC


def take_own(port: Port, subnet: Subnet) -> PortAddress:
    """Give the port the address that its card makes of the subnet's prefix; raises IpAddressInUse."""
    return _take(port, subnet, ipaddress.ip_address(addressing.eui64(subnet.cidr, port.mac)))


def take(port: Port, subnet: Subnet, address: str) -> PortAddress:
    """Give the port this address; raises IpAddressInUse, InvalidAddress."""
    parsed = addressing.parse_address(address)
    if is_automatic(subnet) and address != addressing.eui64(subnet.cidr, port.mac):
        raise AllocationOnAutoAddressSubnet(parsed, subnet.pk)
    return _take(port, subnet, parsed)


def _take(port: Port, subnet: Subnet, parsed: Address) -> PortAddress:
    cidr = ipaddress.ip_network(subnet.cidr)
    addressing.check_in_subnet(parsed, cidr)
    held = PortAddress.objects.filter(subnet=subnet, address=str(parsed))
    if str(parsed) == subnet.gateway_ip or held.exists():
        raise IpAddressInUse(subnet.network_id, parsed)
    return PortAddress.objects.create(
        subnet=subnet, port=port, address=str(parsed), offset=addressing.offset_of(cidr, parsed)
    )


def take_any(port: Port, subnet: Subnet, attempt: int) -> PortAddress | None:
    """Give the port the next free address of the subnet, or return None where there is none."""
    offset = _next_free(subnet, attempt)
    if offset is None:
        return None
    address = addressing.address_at(ipaddress.ip_network(subnet.cidr), offset)
    return PortAddress.objects.create(subnet=subnet, port=port, address=address, offset=offset)


def _one(port: Port, wish: WantedIp, subnets: list[Subnet], attempt: int) -> PortAddress:
    choices = [subnet for subnet in subnets if wish.subnet_id in (None, subnet.id)]
    if not choices:
        raise SubnetNotFound(wish.subnet_id) if wish.subnet_id else InvalidIpForNetwork(wish.address)
    if wish.address is None:
        return _any(port, choices, attempt)
    if wish.subnet_id is not None:
        return take(port, choices[0], wish.address)
    parsed = addressing.parse_address(wish.address)
    holding = [subnet for subnet in choices if parsed in ipaddress.ip_network(subnet.cidr)]
    if not holding:
        raise InvalidIpForNetwork(parsed)
    return take(port, holding[0], wish.address)


def _any(port: Port, choices: list[Subnet], attempt: int) -> PortAddress:
    for subnet in choices:
        taken = take_own(port, subnet) if is_automatic(subnet) else take_any(port, subnet, attempt)
        if taken is not None:
            return taken
    raise IpAddressGenerationFailure(port.network_id)


def _next_free(subnet: Subnet, attempt: int) -> int | None:
    turned = sql.fetch(_TURN, {"id": subnet.pk})
    if not turned:
        raise SubnetNotFound(subnet.pk)
    [(after, stored)] = turned
    pools = addressing.as_offsets(ipaddress.ip_network(subnet.cidr), sql.as_json(stored))
    offset = addressing.next_in(pools, after - 1)
    if offset is None or attempt > 0:
        offset = _first_gap(subnet, pools, after - 1)
    if offset is not None and offset != after - 1:
        Subnet.objects.filter(pk=subnet.pk).update(cursor=offset + 1)
    return offset


def _first_gap(subnet: Subnet, pools: list[Pool], start: int) -> int | None:
    """Return the first offset in a pool that no port has, from start on and then from the beginning."""
    behind = [Pool(max(pool.start, start), pool.end) for pool in pools if pool.end >= start]
    before = [Pool(pool.start, min(pool.end, start - 1)) for pool in pools if pool.start < start]
    for pool in behind + before:
        gap = _gap_in(subnet, pool)
        if gap is not None:
            return gap
    return None


def _gap_in(subnet: Subnet, pool: Pool) -> int | None:
    taken = PortAddress.objects.filter(subnet=subnet)
    if not taken.filter(offset=pool.start).exists():
        return pool.start
    followed = Exists(taken.filter(offset=OuterRef("offset") + 1))
    edges = taken.filter(offset__gte=pool.start, offset__lt=pool.end).exclude(followed).order_by("offset")
    last = edges.values_list("offset", flat=True).first()
    return None if last is None else last + 1
