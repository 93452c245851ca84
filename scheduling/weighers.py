"""The rules that rank nodes. Each weigher's figures are scaled to 0..1 over the candidates, multiplied, and summed."""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import nlargest

from scheduling.models import DISK_GB, MEMORY_MB, VCPU, Policy
from scheduling.request import Candidate, PlaceRequest


@dataclass(frozen=True, slots=True)
class Weigher:
    """A rule: the higher the figure, the better the node; a negative multiplier packs instead of spreading.

    concerns: whether the request asks for it at all; where not, every node has 0 of it.
    """

    name: str
    figure: Callable[[Candidate], float]
    multiplier: float = 1.0
    concerns: Callable[[PlaceRequest], object] = lambda _: True


def _free(resource: str) -> Callable[[Candidate], float]:
    return lambda node: node.stocks[resource].free if resource in node.stocks else 0.0


def _members(node: Candidate) -> float:
    return float(node.members)


def _is_of(policy: Policy) -> Callable[[PlaceRequest], bool]:
    return lambda asked: asked.group is not None and asked.group.policy == policy


WEIGHERS = (
    Weigher("ram", _free(MEMORY_MB)),
    Weigher("cpu", _free(VCPU)),
    Weigher("disk", _free(DISK_GB)),
    # A tenant's wish weighs more than the three above together, or it would be none on a cloud that is evenly filled.
    Weigher("soft affinity", _members, 10.0, _is_of(Policy.SOFT_AFFINITY)),
    Weigher("soft anti-affinity", _members, -10.0, _is_of(Policy.SOFT_ANTI_AFFINITY)),
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
    if not weigher.concerns(request):
        return [0.0] * len(nodes)
    figures = [weigher.figure(node) for node in nodes]
    low, high = min(figures), max(figures)
    if low == high:
        return [0.0] * len(nodes)
    scale = weigher.multiplier / (high - low)
    return [(figure - low) * scale for figure in figures]
