"""What place is asked, and what it sees of each node: plain values, so that rules are pure functions."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PlaceRequest:
    """Where a guest may go; resources by Placement's class names, memory in MiB, disk in GiB."""

    consumer_id: UUID
    project_id: str
    resources: dict[str, int]
    zone: str = ""
    host: str = ""
    node: str = ""
    image_properties: dict[str, str] = field(default_factory=dict)
    excluded_nodes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Stock:
    """One resource class of a node."""

    total: int
    reserved: int
    allocation_ratio: float
    used: int

    @property
    def free(self) -> float:
        """Return how much may still be claimed."""
        return (self.total - self.reserved) * self.allocation_ratio - self.used


@dataclass(slots=True)
class Candidate:
    """A node as the rules see it."""

    id: UUID
    name: str
    host: str
    zone: str
    hypervisor_type: str
    architecture: str
    present: bool
    enabled: bool
    up: bool
    stocks: dict[str, Stock] = field(default_factory=dict)
