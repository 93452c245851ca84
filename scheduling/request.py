"""What place is asked, and what it sees of each node: plain values, so that rules are pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID


@dataclass(frozen=True, slots=True)
class GroupRule:
    """What a server group asks of its next member; anchor: the node where the others of an affinity group stand."""

    id: UUID
    policy: str
    max_per_node: int = 1
    anchor: UUID | None = None


@dataclass(frozen=True, slots=True)
class PlaceRequest:
    """Where a guest may go; resources by Placement's class names, memory in MiB, disk in GiB.

    forced: only host and node asked for, life and capacity count. group_id is looked up when nodes are ranked, and
    `group` is what was found. near: a network in which the host's address is to lie. query: see scheduling.query.
    """

    consumer_id: UUID
    project_id: str
    resources: dict[str, int]
    zone: str = ""
    host: str = ""
    node: str = ""
    image_properties: dict[str, str] = field(default_factory=dict)
    required_traits: frozenset[str] = frozenset()
    forbidden_traits: frozenset[str] = frozenset()
    excluded_nodes: frozenset[str] = frozenset()
    forced: bool = False
    group_id: UUID | None = None
    group: GroupRule | None = None
    same_host: frozenset[UUID] = frozenset()
    different_host: frozenset[UUID] = frozenset()
    near: str = ""
    query: Sequence[Any] = ()


class Stock(NamedTuple):
    """One resource class of a node; a tuple, for a placement makes thousands of them."""

    total: int
    used: int
    free: float  # how much may still be claimed: what is not reserved, oversold, less what is used


@dataclass(slots=True)
class Candidate:
    """A node as the rules see it.

    guests: those of the guests that the request names which stand here; members: how many of its group do; traits:
    filled in only for a request that asks for some.
    """

    id: UUID
    name: str
    host: str
    zone: str
    hypervisor_type: str
    architecture: str
    host_ip: str
    present: bool
    enabled: bool
    up: bool  # from SQLite 0 or 1, as is what it makes of an expression
    stocks: dict[str, Stock] = field(default_factory=dict)
    guests: frozenset[UUID] = frozenset()
    members: int = 0
    traits: frozenset[str] = frozenset()
