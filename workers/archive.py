"""The archive: operations that ended long ago move out of the ledger, with the runs of their steps, a few at a time.

What the ledger still needs stays: whatever holds a lease, a lock or a secret, or has a footprint that stands for a
thing which is there. Nothing of that comes back to an operation that has ended, so looking once is enough.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from computecloud.config import CONFIG
from workers import sql
from workers.models import (
    ACTIVE,
    ArchivedOperation,
    Footprint,
    Operation,
    Secret,
    StepRun,
    Subject,
    SubjectLock,
    utc_now,
)
from workers.probes import reach

log = structlog.get_logger()

BATCH = 200  # operations a transaction: SQLite's one writer is held for about 30 ms
BUDGET_S = 2.0  # of one run; the next goes on where this one stopped
COPIED = (
    *("id", "kind", "state", "subject_type", "subject_id", "project_id", "user_id", "request_id", "params"),
    *("results", "host", "round", "cancelled_by", "error", "created_at", "updated_at", "finished_at"),
)
OF_A_RUN = (
    *("step", "undo", "attempt", "worker", "host", "started_at", "finished_at", "outcome", "error"),
    "traceback",
)


@dataclass(slots=True)
class Place:
    """The last operation that was looked at; those before it stay in the ledger until the next time round."""

    finished_at: datetime | None = None
    operation_id: UUID | None = None


_place = Place()


def run() -> None:
    """Move what is old enough, then remove what was archived long enough ago; both for a short time only."""
    until = time.monotonic() + BUDGET_S
    moved, before = 0, utc_now() - timedelta(days=CONFIG.archive_after_days)
    while time.monotonic() < until:
        seen, ended = look(before)
        moved += move(ended)
        if seen < BATCH:
            _place.finished_at = None
            break
    removed = 0
    if CONFIG.archive_kept_days > 0:
        removed = _remove(utc_now() - timedelta(days=CONFIG.archive_kept_days), until)
    if moved or removed:
        log.info("archive.ran", moved=moved, removed=removed)


def move(ids: list[UUID]) -> int:
    """Move ended operations to the archive in one transaction, so that each is seen once; returns how many."""
    if not ids:
        return 0
    with transaction.atomic():
        ended = Operation.objects.filter(id__in=ids).exclude(state__in=ACTIVE).order_by("finished_at", "id")
        rows = list(ended.values(*COPIED))
        runs = _runs([row["id"] for row in rows])
        ArchivedOperation.objects.bulk_create(
            [ArchivedOperation(**row, runs=runs.get(row["id"], [])) for row in rows], ignore_conflicts=True
        )
        reach("archive", "copied")
        _delete([row["id"] for row in rows])
    return len(rows)


def look(before: datetime) -> tuple[int, list[UUID]]:
    """Return how many ended operations came next, and which of them the ledger needs no more."""
    ended = Operation.objects.filter(finished_at__lt=before).exclude(state__in=ACTIVE)
    if _place.finished_at is not None:
        same = Q(finished_at=_place.finished_at, id__gt=_place.operation_id)
        after = Q(finished_at__gt=_place.finished_at) | same
        ended = ended.filter(after, finished_at__gte=_place.finished_at)  # the last is what the index can use
    found = ended.annotate(held=_held()).order_by("finished_at", "id")
    rows = list(found.values_list("id", "finished_at", "held")[:BATCH])
    if rows:
        _place.operation_id, _place.finished_at = rows[-1][0], rows[-1][1]
    return len(rows), [key for key, _, held in rows if not held]


def _held() -> Q:
    return (
        Q(lease_token__isnull=False)
        | Exists(SubjectLock.objects.filter(operation_id=OuterRef("id")))
        | Exists(Subject.objects.filter(id=OuterRef("subject_id"), holder=OuterRef("id")))
        | Exists(Secret.objects.filter(operation_id=OuterRef("id")))
        | Exists(Footprint.objects.filter(subject_id=OuterRef("subject_id"), operation_id=OuterRef("id")))
    )


def _runs(ids: list[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    rows = StepRun.objects.filter(operation_id__in=ids).order_by("operation_id", "id")
    grouped = groupby(rows, key=lambda run: run.operation_id)
    return {key: [_as_json(run) for run in runs] for key, runs in grouped}


def _as_json(run: StepRun) -> dict[str, Any]:
    values = {name: getattr(run, name) for name in OF_A_RUN}
    return values | {name: values[name].isoformat() for name in ("started_at", "finished_at")}


def _delete(ids: list[UUID]) -> None:
    """Delete the rows; the database itself refuses where a lock or a secret is still there."""
    if not ids:
        return
    StepRun.objects.filter(operation_id__in=ids).delete()
    marks = ", ".join(f"%(i{number})s" for number in range(len(ids)))
    values = {f"i{number}": key for number, key in enumerate(ids)}
    sql.execute(f"DELETE FROM workers_operation WHERE id IN ({marks})", values)  # noqa: S608


def _remove(before: datetime, until: float) -> int:
    removed = 0
    while time.monotonic() < until:
        old = ArchivedOperation.objects.filter(finished_at__lt=before).order_by("finished_at")
        ids = list(old.values_list("id", flat=True)[:BATCH])
        removed += ArchivedOperation.objects.filter(id__in=ids).delete()[0]
        if len(ids) < BATCH:
            break
    return removed
