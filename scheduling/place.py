"""Place: filter the nodes, weigh what is left, claim the best, and keep the reasons."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from scheduling import claims, selectors
from scheduling.filters import FILTERS
from scheduling.models import Decision
from scheduling.request import Candidate, PlaceRequest
from scheduling.weighers import weigh
from workers import sql
from workers.retry import StepFailed

NAMED_NODES = 5  # so many removed nodes are named in a decision
BEST_NODES = 5  # so many are weighed against each other to the end, named, and tried one after another
LAST_WORDS = "There are not enough hosts available."  # what Nova says, and clients look for


class NoValidHost(StepFailed):
    """No node is left; the message says which rule removed how many."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The nodes to be claimed, the best of those left, and the verdict of each rule; the request as it was found."""

    request: PlaceRequest
    best: list[Candidate]
    considered: int
    verdicts: list[dict[str, Any]]
    weights: list[dict[str, Any]]

    def in_words(self, last_failure: str = "") -> str:
        """Say which rule removed how many, and what went wrong on the node that was tried last."""
        if not self.considered:
            return f"No valid host was found. {LAST_WORDS} No host has reported a node yet; see: computecloud status"
        removed = [
            f"{verdict['removed']} {verdict['words']}" for verdict in self.verdicts if verdict["removed"]
        ]
        if not removed:
            return f"No valid host was found. {LAST_WORDS} Every node that suited was filled up meanwhile."
        nodes = "1 node" if self.considered == 1 else f"{self.considered} nodes"
        tried = f"On the one tried last: {last_failure.rstrip('.')}. " if last_failure else ""
        return f"No valid host was found. {LAST_WORDS} {tried}Of {nodes}: {', '.join(removed)}."


def rank(request: PlaceRequest) -> Ranking:
    """Filter and weigh every node; one query, and up to four for a group, guests and traits that the request names."""
    left = selectors.candidates(request.resources)
    request = _looked_up(request, left)
    considered, verdicts = len(left), []
    for rule in FILTERS:
        if not rule.concerns(request) or (request.forced and not rule.always):
            continue
        keeps = rule.keeps
        kept = [node for node in left if keeps(node, request)]
        if len(kept) < len(left):
            gone = [node.name for node in left if not keeps(node, request)]
            words = rule.in_words(request)
            verdicts.append(
                {"rule": rule.name, "removed": len(gone), "words": words, "nodes": gone[:NAMED_NODES]}
            )
        left = kept
    best = weigh(left, request, BEST_NODES)
    weights = [{"node": node.name, "weight": total, **shares} for total, node, shares in best]
    return Ranking(request, [node for _, node, _ in best], considered, verdicts, weights)


def _looked_up(request: PlaceRequest, nodes: list[Candidate]) -> PlaceRequest:
    """Return the request with its group's rule; the nodes learn which guests that it names stand on them."""
    if named := request.same_host | request.different_host:
        standing = selectors.standing(named, request.project_id)
        for node in nodes:
            node.guests = frozenset(standing.get(node.id, ()))
    if request.required_traits or request.forbidden_traits:
        traits = selectors.traits()
        for node in nodes:
            node.traits = traits.get(node.id, frozenset())
    group = selectors.group_rule(request.group_id) if request.group_id else None
    if group is None:
        return request
    members = selectors.group_places(group.id)
    for node in nodes:
        node.members = members.get(node.id, 0)
    return replace(request, group=group)


def claim_best(request: PlaceRequest, ranking: Ranking, operation_id: UUID) -> Candidate:
    """Claim the best node that still has room, and keep the decision; must run inside a transaction.

    Raises NoValidHost where there is none.
    """
    for node in ranking.best:
        if claims.claim(ranking.request, node.id):
            _keep(request, ranking, operation_id, node.name)
            return node
    raise NoValidHost(ranking.in_words(), retryable=bool(ranking.best))


def explain_failure(request: PlaceRequest, ranking: Ranking, operation_id: UUID) -> None:
    """Keep the decision of a placement that found no node."""
    _keep(request, ranking, operation_id, "")


def _keep(request: PlaceRequest, ranking: Ranking, operation_id: UUID, node: str) -> None:
    decision = Decision(
        operation_id=operation_id,
        consumer_id=request.consumer_id,
        node=node,
        considered=ranking.considered,
        verdicts=ranking.verdicts,
        weights=ranking.weights,
    )
    sql.insert([decision])
