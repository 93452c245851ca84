"""Operations as JSON. `inside` is what admins alone see: hosts, workers, errors in the engine's own words."""

from datetime import datetime
from typing import Any

from workers import history, selectors
from workers.history import Past, Run
from workers.models import Operation
from workers.selectors import Listed
from workers.waiting import Waiting


def operation(listed: Listed, *, inside: bool) -> dict[str, Any]:
    """Return an operation, why it waits if it does, and whether what it is about is still there."""
    one = listed.operation
    body: dict[str, Any] = {
        "id": str(one.id),
        "kind": one.kind,
        "state": one.state,
        "step": selectors.step_of(one),
        "waiting": _waiting(listed.waiting, inside=inside),
        "subject": {"type": one.subject_type, "id": str(one.subject_id), "exists": listed.has_subject},
        "project_id": one.project_id,
        "user_id": one.user_id,
        "request_id": one.request_id,
        "cancelled_by": one.cancelled_by or None,
        "created_at": _moment(one.created_at),
        "updated_at": _moment(one.updated_at),
        "finished_at": _moment(one.finished_at),
        "archived": not isinstance(one, Operation),
    }
    return body | {"host": one.host, "error": one.error or None} if inside else body


def detailed(one: Past, *, inside: bool) -> dict[str, Any]:
    """Return an operation with the runs of its steps."""
    [listed] = selectors.told([one])
    return operation(listed, inside=inside) | {
        "steps": [_run(run, inside=inside) for run in history.runs(one)]
    }


def _waiting(why: Waiting | None, *, inside: bool) -> dict[str, Any] | None:
    if why is None:
        return None
    return {"reason": why.reason if inside else why.told, "position": why.position, "ahead": why.ahead}


def _run(run: Run, *, inside: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "step": f"undo {run.step}" if run.undo else run.step,
        "attempt": run.attempt,
        "outcome": run.outcome,
        "started_at": _moment(run.started_at),
        "finished_at": _moment(run.finished_at),
        "took_ms": round((run.finished_at - run.started_at).total_seconds() * 1e3, 1),
    }
    return body | {"host": run.host, "worker": run.worker, "error": run.error or None} if inside else body


def _moment(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if at else None
