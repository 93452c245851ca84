"""The rules that rank nodes. Each weigher's figures are scaled to 0..1 over the candidates, multiplied, and summed."""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import nlargest

from scheduling.models import DISK_GB, MEMORY_MB, VCPU, Policy
from scheduling.request import Candidate, PlaceRequest


@dataclass(frozen=True, slots=True)
class Weigher:
    """A rule: the higher the figure, the better the node; a negative multiplier packs instead of spreading."""

    name: str
    figure: Callable[[Candidate, PlaceRequest], float]
    multiplier: float = 1.0


def _free(resource: str) -> Callable[[Candidate, PlaceRequest], float]:
    return lambda node, _: node.stocks[resource].free if resource in node.stocks else 0.0


def _members(policy: Policy) -> Callable[[Candidate, PlaceRequest], float]:
    return lambda node, request: (
        float(node.members) if request.group and request.group.policy == policy else 0.0
    )


WEIGHERS = (
    Weigher("ram", _free(MEMORY_MB)),
    Weigher("cpu", _free(VCPU)),
    Weigher("disk", _free(DISK_GB)),
    # A tenant's wish weighs more than the three above together, or it would be none on a cloud that is evenly filled.
    Weigher("soft affinity", _members(Policy.SOFT_AFFINITY), 10.0),
    Weigher("soft anti-affinity", _members(Policy.SOFT_ANTI_AFFINITY), -10.0),
)


def weigh(
    nodes: list[Candidate], request: PlaceRequest, most: int
) -> list[tuple[float, Candidate, dict[str, float]]]:
    """Return the best nodes, at most so many, with their sums and shares, best first; equal ones in the order given."""
    if not nodes:
        return []
    shares = [_shares(weigher, nodes, request) for weigher in WEIGHERS]
    sums = [sum(of_one) for of_one in zip(*shares, strict=True)]
    best = nlargest(most, range(len(nodes)), key=sums.__getitem__)
    return [
        (sums[at], nodes[at], {weigher.name: one[at] for weigher, one in zip(WEIGHERS, shares, strict=True)})
        for at in best
    ]


def _shares(weigher: Weigher, nodes: list[Candidate], request: PlaceRequest) -> list[float]:
    figures = [weigher.figure(node, request) for node in nodes]
    low, high = min(figures), max(figures)
    if low == high:
        return [0.0] * len(nodes)
    scale = weigher.multiplier / (high - low)
    return [(figure - low) * scale for figure in figures]
