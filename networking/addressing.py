"""Arithmetic on addresses: cidrs, gateways, pools and offsets. Nothing here reads or writes anything."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from computecloud.wire.errors import Conflict, InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Cidr = ipaddress.IPv4Network | ipaddress.IPv6Network
OFFSET_MAX = 2**63 - 2  # what a database's 64-bit integer holds, and one more


class InvalidCidr(InvalidInput):
    """The range is no range, or not of this IP version."""


class InvalidAddress(InvalidInput):
    """The address is no address, or not one that this subnet can give."""


class InvalidAllocationPool(InvalidInput):
    """A pool ends before it starts, or its ends are no addresses."""


class OutOfBoundsAllocationPool(InvalidInput):
    """A pool reaches beyond its subnet."""


class OverlappingAllocationPools(Conflict):
    """Two pools share addresses."""


class GatewayConflictWithAllocationPools(Conflict):
    """The gateway's address could be handed to a port."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses from start to end, both included, as offsets in the subnet's cidr."""

    start: int
    end: int


def parse_cidr(text: str, ip_version: int) -> Cidr:
    """Return the range; raises InvalidCidr, also where bits behind the prefix are set."""
    try:
        cidr = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidCidr(f"Invalid input for cidr. Reason: '{text}' is not a valid IP subnet.") from None
    if "/" not in text or str(cidr) != text.lower():
        raise InvalidCidr(f"Invalid input for cidr. Reason: '{text}' is not a cidr; '{cidr}' is recommended.")
    if cidr.version != ip_version:
        raise InvalidCidr(f"Invalid input for cidr. Reason: {text} is not of ip_version {ip_version}.")
    if (
        cidr.is_multicast
        or cidr.is_loopback
        or cidr.is_unspecified
        or cidr.is_link_local
        or cidr.prefixlen == 0
    ):
        raise InvalidCidr(f"Invalid input for cidr. Reason: {text} can not be given to guests.")
    return cidr


def parse_address(text: str) -> Address:
    """Return the address; raises InvalidAddress."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise InvalidAddress(f"'{text}' is not a valid IP address.") from None


def offset_of(cidr: Cidr, address: Address) -> int | None:
    """Return how far the address lies from the range's first; None where a database's integer is too small."""
    offset = int(address) - int(cidr.network_address)
    return offset if offset <= OFFSET_MAX else None


def address_at(cidr: Cidr, offset: int) -> str:
    """Return the address that lies offset behind the range's first, in its canonical form."""
    return str(cidr[offset])


def link_local(mac: str) -> str:
    """Return the address that a card gives itself on its link."""
    return eui64("fe80::/64", mac)


def eui64(cidr: str, mac: str) -> str:
    """Return the address that a card gives itself in a /64 (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Network(cidr)[int.from_bytes(identifier, "big")])


def check_in_subnet(address: Address, cidr: Cidr) -> None:
    """Raise InvalidAddress where a port on the range could not have this address."""
    if address.version != cidr.version or address not in cidr or address in _ends(cidr):
        raise InvalidAddress(f"IP address {address} is not a valid IP for the subnet {cidr}.")


def default_gateway(cidr: Cidr) -> str | None:
    """Return the first address that a host may have, or None where the range is a single address."""
    return (
        None
        if cidr.num_addresses == 1
        else str(cidr[1] if cidr.prefixlen < cidr.max_prefixlen - 1 else cidr[0])
    )


def check_gateway(gateway: Address, cidr: Cidr) -> None:
    """Raise InvalidInput where no guest on the range could reach this gateway."""
    if gateway.version != cidr.version:
        raise InvalidInput(
            f"Invalid input for gateway_ip. Reason: {gateway} is not of the version of {cidr}."
        )
    if gateway.version == 6 and gateway.is_link_local:
        return
    if gateway not in cidr or gateway in _ends(cidr):
        raise InvalidInput(
            f"Invalid input for gateway_ip. Reason: {gateway} is not a host's address in {cidr}."
        )


def default_pools(cidr: Cidr, gateway: Address | None) -> list[dict[str, str]]:
    """Return all addresses that hosts may have, but the gateway's, as [{start, end}]."""
    ends = _ends(cidr)
    first = 1 if cidr[0] in ends else 0
    last = min(cidr.num_addresses - (2 if len(ends) == 2 else 1), OFFSET_MAX)
    hole = offset_of(cidr, gateway) if gateway is not None and gateway in cidr else None
    spans = [(first, last)] if hole is None else [(first, hole - 1), (hole + 1, last)]
    return [_named(cidr, start, end) for start, end in spans if first <= start <= end <= last]


def check_pools(pools: Iterable[dict[str, str]], cidr: Cidr, gateway: Address | None) -> list[dict[str, str]]:
    """Return the pools in order and canonical form; raises the errors above that name pools."""
    checked = sorted((_checked(pool, cidr) for pool in pools), key=lambda pool: pool.start)
    for low, high in pairwise(checked):
        if high.start <= low.end:
            raise OverlappingAllocationPools(
                f"Found overlapping allocation pools: {_text(cidr, low)} {_text(cidr, high)} for subnet {cidr}."
            )
    hole = offset_of(cidr, gateway) if gateway is not None and gateway in cidr else None
    for pool in checked:
        if hole is not None and pool.start <= hole <= pool.end:
            raise GatewayConflictWithAllocationPools(
                f"Gateway ip {gateway} conflicts with allocation pool {_text(cidr, pool)}."
            )
    return [_named(cidr, pool.start, pool.end) for pool in checked]


def as_offsets(cidr: Cidr, pools: Iterable[dict[str, str]]) -> list[Pool]:
    """Return stored pools as offsets, in order."""
    base = int(cidr.network_address)
    return [
        Pool(int(ipaddress.ip_address(p["start"])) - base, int(ipaddress.ip_address(p["end"])) - base)
        for p in pools
    ]


def next_in(pools: Sequence[Pool], offset: int) -> int | None:
    """Return the first offset at or behind this one that lies in a pool."""
    return next((max(pool.start, offset) for pool in pools if offset <= pool.end), None)


def free_cidr(wanted: str, used: Iterable[Cidr]) -> str:
    """Return wanted, or where it is in use the next free range of its size in its /16; raises Conflict."""
    taken = list(used)
    cidr = ipaddress.ip_network(wanted)
    around = cidr.supernet(new_prefix=16) if cidr.prefixlen > 16 else cidr
    behind = (
        [
            c
            for c in around.subnets(new_prefix=cidr.prefixlen)
            if int(c.network_address) > int(cidr.network_address)
        ]
        if around != cidr
        else []
    )
    for candidate in [cidr, *behind]:
        if not any(candidate.version == other.version and candidate.overlaps(other) for other in taken):
            return str(candidate)
    raise Conflict(
        f"This host uses {wanted} and all ranges behind it; set COMPUTECLOUD_PUBLIC_CIDR to a free one."
    )


def _ends(cidr: Cidr) -> tuple[Address, ...]:
    """Return the addresses that no host may have: an IPv4 range's first and last, an IPv6 range's first."""
    if cidr.prefixlen >= cidr.max_prefixlen - 1:
        return ()
    return (cidr[0], cidr[-1]) if cidr.version == 4 else (cidr[0],)


def _checked(pool: dict[str, str], cidr: Cidr) -> Pool:
    try:
        start, end = ipaddress.ip_address(pool["start"]), ipaddress.ip_address(pool["end"])
    except (KeyError, ValueError, TypeError):
        raise InvalidAllocationPool(f"The allocation pool {pool} is not valid.") from None
    if start.version != cidr.version or end.version != cidr.version or int(end) < int(start):
        raise InvalidAllocationPool(f"The allocation pool {start}-{end} is not valid for subnet {cidr}.")
    if start not in cidr or end not in cidr or start in _ends(cidr) or end in _ends(cidr):
        raise OutOfBoundsAllocationPool(
            f"The allocation pool {start}-{end} spans beyond the subnet cidr {cidr}."
        )
    first, last = offset_of(cidr, start), offset_of(cidr, end)
    if first is None or last is None:
        raise InvalidAllocationPool(f"The allocation pool {start}-{end} is too far from the start of {cidr}.")
    return Pool(first, last)


def _named(cidr: Cidr, start: int, end: int) -> dict[str, str]:
    return {"start": address_at(cidr, start), "end": address_at(cidr, end)}


def _text(cidr: Cidr, pool: Pool) -> str:
    return f"{address_at(cidr, pool.start)}-{address_at(cidr, pool.end)}"
