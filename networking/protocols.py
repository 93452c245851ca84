"""The protocols that a rule may name, with their numbers, and what of a rule goes with which.

Source of names and numbers: the Network API's security group rules; IANA's protocol numbers.
"""

from networking import errors

NUMBERS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": 1,
    "igmp": 2,
    "ip": 0,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
ICMP, ICMPV6 = 1, 58
ANY_NUMBER = 0  # of `ip` and `hopopt`: not a protocol that packets carry
WITH_PORTS = frozenset({6, 17, 33, 132, 136})
IPV6_ALONE = frozenset(
    {"ipv6-encap", "ipv6-frag", "ipv6-icmp", "icmpv6", "ipv6-nonxt", "ipv6-opts", "ipv6-route"}
)
PORT_MAX, ICMP_MAX = 65_535, 255


def parse(text: str | None) -> str | None:
    """Return the protocol as the API shows it, None for any; raises SecurityGroupRuleInvalidProtocol."""
    if text is None or text.lower() in ("any", "none", ""):
        return None
    name = text.lower()
    if name in NUMBERS or (name.isascii() and name.isdigit() and len(name) < 4 and int(name) <= 255):
        return name
    raise errors.SecurityGroupRuleInvalidProtocol(text[:64], [None, "any", *sorted(NUMBERS)])  # type: ignore[list-item]


def number(protocol: str | None, ip_version: int) -> int | None:
    """Return the number that packets of this IP version carry; None for any."""
    if protocol is None:
        return None
    found = NUMBERS.get(protocol, int(protocol) if protocol.isdigit() else 0)
    if found == ANY_NUMBER:
        return None
    return ICMPV6 if found == ICMP and ip_version == 6 else found


def check_version(protocol: str | None, ip_version: int) -> None:
    """Raise SecurityGroupEthertypeConflictWithProtocol where the protocol is not of this IP version."""
    if protocol in IPV6_ALONE and ip_version != 6:
        raise errors.SecurityGroupEthertypeConflictWithProtocol(f"IPv{ip_version}", protocol)


def check_ports(protocol: str | None, ip_version: int, low: int | None, high: int | None) -> None:
    """Raise what the Network API says of ports that do not go together, or not with the protocol."""
    if low is None and high is None:
        return
    if protocol is None:
        raise errors.SecurityGroupProtocolRequiredWithPorts
    carried = number(protocol, ip_version)
    if carried in (ICMP, ICMPV6):
        _check_icmp(low, high)
    elif carried in WITH_PORTS:
        _check_range(low, high)
    else:
        raise errors.SecurityGroupInvalidProtocolForPortRange(protocol)


def _check_range(low: int | None, high: int | None) -> None:
    for port in (low, high):
        if port is not None and not 1 <= port <= PORT_MAX:
            raise errors.SecurityGroupInvalidPortValue(port)
    if low is None or high is None or low > high:
        raise errors.SecurityGroupInvalidPortRange


def _check_icmp(low: int | None, high: int | None) -> None:
    for attribute, field, value in (("port_range_min", "type", low), ("port_range_max", "code", high)):
        if value is not None and not 0 <= value <= ICMP_MAX:
            raise errors.SecurityGroupInvalidIcmpValue(field, attribute, value)
    if low is None:
        raise errors.SecurityGroupMissingIcmpType(high)
