"""Reads what was done: the ledger and the archive as one.

The ledger is read first: an operation that is moved meanwhile is then found twice, and shown once, but never missed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from workers.archive import OF_A_RUN
from workers.models import IS_ACTIVE, ArchivedOperation, Operation

Past = Operation | ArchivedOperation


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at one step, as it ended."""

    step: str
    undo: bool
    attempt: int
    worker: str
    host: str
    started_at: datetime
    finished_at: datetime
    outcome: str
    error: str
    traceback: str


def newest(where: Q, *, limit: int | None) -> list[Past]:
    """Return the newest operations that `where` names, at most `limit`, wherever they are kept; two queries.

    For what names a subject or a request; other lists are made by `latest`.
    """
    return _merged([Operation.objects.filter(where)], where, limit)


def latest(where: Q, *, limit: int) -> list[Past]:
    """Return the newest operations of a tenant, or of all; three queries, each by an index of its own."""
    active = Operation.objects.filter(where).filter(IS_ACTIVE)
    ended = Operation.objects.filter(where, finished_at__isnull=False)
    return _merged([active, ended], where, limit)


def ended(where: Q, *, limit: int) -> list[Past]:
    """Return the newest operations of a tenant, or of all, that have ended; two queries."""
    return _merged([Operation.objects.filter(where, finished_at__isnull=False)], where, limit)


def _merged(kept: list[QuerySet[Operation]], where: Q, limit: int | None) -> list[Past]:
    found: list[Past] = [one for part in kept for one in part.order_by("-created_at", "-id")[:limit]]
    found += ArchivedOperation.objects.filter(where).order_by("-created_at", "-id").defer("runs")[:limit]
    once = {operation.id: operation for operation in reversed(found)}
    return sorted(once.values(), key=lambda one: (one.created_at, one.id), reverse=True)[:limit]


def find(where: Q) -> Past | None:
    """Return an operation that `where` names, the ledger's newest before the archive's; None where there is none."""
    return (
        Operation.objects.filter(where).order_by("-created_at", "-id").first()
        or ArchivedOperation.objects.filter(where).order_by("-created_at", "-id").first()
    )


def after(marker: Past) -> Q:
    """Return what comes after this operation, newest first."""
    same = Q(created_at=marker.created_at, id__lt=marker.id)
    return Q(created_at__lte=marker.created_at) & (Q(created_at__lt=marker.created_at) | same)


def runs(operation: Past) -> list[Run]:
    """Return the attempts at an operation's steps, in order."""
    if isinstance(operation, ArchivedOperation):
        return [
            Run(
                **{
                    **run,
                    **{name: datetime.fromisoformat(run[name]) for name in ("started_at", "finished_at")},
                }
            )
            for run in operation.runs
        ]
    return list(_rows(operation))


def _rows(operation: Operation) -> Iterable[Run]:
    for row in operation.runs.order_by("id"):
        yield Run(**{name: getattr(row, name) for name in OF_A_RUN})
