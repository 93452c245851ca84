"""What the rooms and hosts tell each other about a guest's network cards: plain values that survive JSON."""

from dataclasses import dataclass, field
from typing import Any, Self

import msgspec


@dataclass(frozen=True, slots=True)
class PlannedNic:
    """One network card as a request asked for it, checked: a port that exists, or one to make on a network."""

    network_id: str
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str = ""
    groups: list[str] = field(default_factory=list)  # security groups of a port that is to be made


@dataclass(frozen=True, slots=True)
class FixedIp:
    """An address of a port, with what a guest must know to use it."""

    address: str
    subnet_id: str
    version: int
    cidr: str
    gateway: str | None


@dataclass(frozen=True, slots=True)
class SubnetFacts:
    """What a host must know of a subnet to serve it."""

    id: str
    version: int
    cidr: str
    gateway: str | None
    dhcp_address: str | None
    dns: list[str]
    routes: list[dict[str, str]]
    ra_mode: str | None = (
        None  # how guests learn their IPv6 addresses: slaac, dhcpv6-stateful, dhcpv6-stateless
    )


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What a host must know of a network to make it."""

    id: str
    tag: str
    bridge: str
    veth: str
    namespace: str
    external: bool
    mtu: int
    subnets: list[SubnetFacts]
    vni: int = 0  # its number on the wire between hosts
    wire: str = ""  # the device by which it meets other hosts
    metadata_ip: str = ""  # where its guests reach the metadata service; a network of before has none


@dataclass(frozen=True, slots=True)
class AddressPair:
    """A hardware address and a range from which a port may send beside its own."""

    mac: str
    cidr: str


@dataclass(frozen=True, slots=True)
class PortFacts:
    """A guest's network card: all that its host, its driver and its config drive need."""

    port_id: str
    network_id: str
    network_name: str
    mac: str
    fixed_ips: list[FixedIp]
    tap: str
    bridge: str
    mtu: int
    made_by_us: bool
    dns: list[str]
    network: NetworkFacts
    tag: str = ""
    anti_spoofing: bool = True
    groups: list[str] = field(default_factory=list)
    pairs: list[AddressPair] = field(default_factory=list)
    admin_up: bool = True

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return what dataclasses.asdict made plain; raises msgspec.ValidationError."""
        return msgspec.convert(value, cls)


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What a security group lets pass; protocol by number, ports inclusive (ICMP: type and code)."""

    ingress: bool
    version: int
    protocol: int | None = None
    low: int | None = None
    high: int | None = None
    prefix: str | None = None
    group: str | None = None  # from or to the addresses of this group's ports


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a host must know beside its ports: their groups' rules, who is in groups that rules name, other hosts."""

    groups: dict[str, list[RuleFacts]] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)  # addresses and ranges, by group
    peers: dict[str, list[str]] = field(default_factory=dict)  # other hosts' underlay addresses, by network
