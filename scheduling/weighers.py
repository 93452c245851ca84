"""The rules that rank nodes. Each weigher's figures are scaled to 0..1 over the candidates, multiplied, and summed."""

from collections.abc import Callable
from dataclasses import dataclass

from scheduling.models import DISK_GB, MEMORY_MB, VCPU
from scheduling.request import Candidate


@dataclass(frozen=True, slots=True)
class Weigher:
    """A rule: the higher the figure, the better the node; a negative multiplier packs instead of spreading."""

    name: str
    figure: Callable[[Candidate], float]
    multiplier: float = 1.0


def _free(resource: str) -> Callable[[Candidate], float]:
    return lambda node: node.stocks[resource].free if resource in node.stocks else 0.0


WEIGHERS = (
    Weigher("ram", _free(MEMORY_MB)),
    Weigher("cpu", _free(VCPU)),
    Weigher("disk", _free(DISK_GB)),
)


def weigh(nodes: list[Candidate]) -> list[tuple[float, Candidate, dict[str, float]]]:
    """Return the nodes with their sums and shares, best first; equal ones in the order given."""
    shares: list[dict[str, float]] = [{} for _ in nodes]
    for weigher in WEIGHERS:
        figures = [weigher.figure(node) for node in nodes]
        low, high = min(figures), max(figures)
        for share, figure in zip(shares, figures, strict=True):
            share[weigher.name] = weigher.multiplier * ((figure - low) / (high - low) if high > low else 0.0)
    ranked = [(sum(share.values()), node, share) for node, share in zip(nodes, shares, strict=True)]
    ranked.sort(key=lambda entry: -entry[0])
    return ranked
