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
    routes: list[dict[str, str]] = field(default_factory=list)
    anti_spoofing: bool = True

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return what dataclasses.asdict made plain; raises msgspec.ValidationError."""
        return msgspec.convert(value, cls)
