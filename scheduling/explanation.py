"""Why a consumer is where it is, or nowhere: a kept decision with the verdict of every rule, in the rules' order."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef

from computecloud.config import CONFIG
from scheduling.filters import FILTERS
from scheduling.models import Decision
from workers import expiry
from workers.models import Subject, utc_now

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule said: how many nodes it removed, the first of them, and how many it left."""

    rule: str
    words: str
    removed: int
    nodes: list[str]
    left: int

    def in_words(self) -> str:
        """Say it in a sentence."""
        if not self.removed:
            return f"{self.rule}: removed none"
        more = self.removed - len(self.nodes)
        named = ", ".join(self.nodes) + (f" and {more} more" if more else "")
        return f"{self.rule}: removed {self.removed}, {self.words}: {named}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One decision; node is empty where none was found; weights are the best nodes, with each weigher's share."""

    operation_id: UUID
    at: datetime
    node: str
    considered: int
    verdicts: list[Verdict]
    weights: list[dict[str, Any]]

    def in_words(self) -> str:
        """Say what came of it in a sentence."""
        nodes = "1 node" if self.considered == 1 else f"{self.considered} nodes"
        if not self.considered:
            return "no host had reported a node"
        if not self.node:
            return f"of {nodes} none was left" if not self._left else f"{nodes}: each that was left filled up"
        best = self.weights[0]["node"] if self.weights else self.node
        why = "it weighed most" if best == self.node else f"{best} weighed more, but was filled up meanwhile"
        return f"of {nodes} {self._left} were left, and {self.node} was chosen: {why}"

    @property
    def _left(self) -> int:
        return self.verdicts[-1].left if self.verdicts else self.considered


def of(consumer_id: UUID) -> list[Explanation]:
    """Return the decisions about a consumer, newest first; one query."""
    return [_explained(decision) for decision in Decision.objects.filter(consumer_id=consumer_id)]


def _explained(decision: Decision) -> Explanation:
    return Explanation(
        operation_id=decision.operation_id,
        at=decision.created_at,
        node=decision.node,
        considered=decision.considered,
        verdicts=list(_verdicts(decision)),
        weights=decision.weights,
    )


def _verdicts(decision: Decision) -> Iterator[Verdict]:
    """Yield every rule of now in its order, then what a rule said that there is no more."""
    said = {verdict["rule"]: verdict for verdict in decision.verdicts}
    rules = {rule.name: rule.words for rule in FILTERS}
    left = decision.considered
    for name in [*rules, *(name for name in said if name not in rules)]:
        verdict = said.get(name, {})
        removed = verdict.get("removed", 0)
        left -= removed
        yield Verdict(name, verdict.get("words") or rules[name], removed, verdict.get("nodes", []), left)


def forget_old() -> int:
    """Remove the decisions about what is gone, when their operations are due for the archive; returns how many."""
    before = utc_now() - timedelta(days=CONFIG.archive_after_days)
    there = Subject.objects.filter(id=OuterRef("consumer_id"))
    gone = Decision.objects.filter(~Exists(there), created_at__lt=before).order_by("id")
    removed = 0
    while ids := list(gone.values_list("id", flat=True)[:BATCH]):
        removed += Decision.objects.filter(id__in=ids).delete()[0]
    return removed


expiry.REMOVALS["decisions about what is gone"] = forget_old
