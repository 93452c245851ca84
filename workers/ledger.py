"""The ledger's conditional updates, by hand in SQL: one row hit means the right to go on, no row means stop.

Times are seconds since 1970.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from computecloud import metrics
from workers import clock, sql
from workers.outcome import Overtaken
from workers.workflow import Context

DO, UNDO = "do", "undo"

_TAKE = """
UPDATE workers_operation SET lease_token = %(token)s, lease_worker = %(worker)s, lease_until = %(until)s,
    leased_at = %(now)s, attempt = attempt + 1, state = CASE state WHEN 'pending' THEN 'running' ELSE state END
WHERE id = %(id)s AND cursor = %(cursor)s AND lease_token IS NULL AND run_after <= %(now)s AND {state}
    AND NOT EXISTS (SELECT 1 FROM workers_subjectlock l JOIN workers_subject s ON s.id = l.subject_id
                    WHERE l.operation_id = workers_operation.id AND s.epoch <> l.epoch)
    AND NOT EXISTS (SELECT 1 FROM workers_subjectlock l JOIN workers_subjectlock m ON m.subject_id = l.subject_id
                    JOIN workers_operation o ON o.id = m.operation_id
                    WHERE l.operation_id = workers_operation.id AND l.exclusive AND o.id <> workers_operation.id
                    AND o.lease_token IS NOT NULL)
RETURNING kind, subject_id, project_id, user_id, request_id, params, results, host, attempt, round, error,
    cancelled_by, deadline, (SELECT l.epoch FROM workers_subjectlock l
     WHERE l.operation_id = workers_operation.id AND l.subject_id = workers_operation.subject_id)
"""
_TAKES = {
    DO: _TAKE.format(
        state="state IN ('pending', 'running') AND admitted AND cancelled_by = '' AND deadline > %(now)s"
    ),
    UNDO: _TAKE.format(state="state = 'undoing'"),
}

# What is cancelled goes no further: a step that ends finds no row, and is turned back.
_ADVANCE = """
UPDATE workers_operation SET cursor = %(next)s, attempt = %(attempt)s, rings = 0, results = %(results)s,
    host = %(host)s, lease_token = %(token_next)s, lease_until = %(until)s, leased_at = %(now)s,
    dispatched_at = %(now)s, run_after = 0, waits_for = '', slow = FALSE, updated_at = %(at)s
WHERE id = %(id)s AND lease_token = %(token)s AND state = %(state)s AND (state = 'undoing' OR cancelled_by = '')
"""

_END = """
UPDATE workers_operation SET state = %(end)s, results = %(results)s, host = %(host)s, lease_token = NULL,
    error = %(error)s, finished_at = %(at)s, updated_at = %(at)s
WHERE id = %(id)s AND lease_token = %(token)s AND state = %(state)s AND (%(whoever)s OR cancelled_by = %(by)s)
"""

_TURN_BACK = """
UPDATE workers_operation SET state = 'undoing', cursor = %(to)s, error = %(error)s, attempt = 0, rings = 0,
    lease_token = NULL, dispatched_at = %(now)s, run_after = 0, waits_for = '', updated_at = %(at)s,
    deadline = CASE WHEN deadline > %(now)s THEN deadline ELSE %(now)s END + %(undo_s)s
WHERE id = %(id)s AND lease_token = %(token)s AND state = 'running'
"""

_BEGIN_ANEW = """
UPDATE workers_operation SET state = 'running', cursor = 0, attempt = 0, rings = 0, round = round + 1,
    results = %(results)s, host = NULL, lease_token = NULL, dispatched_at = %(now)s, run_after = 0, updated_at = %(at)s,
    deadline = deadline - %(undo_s)s
WHERE id = %(id)s AND lease_token = %(token)s AND state = 'undoing' AND cancelled_by = ''
"""

_PAUSE = """
UPDATE workers_operation SET lease_token = NULL, run_after = %(run_after)s, dispatched_at = %(run_after)s,
    attempt = attempt - %(uncounted)s, rings = 0, waits_for = %(reason)s, slow = %(slow)s,
    updated_at = %(at)s
WHERE id = %(id)s AND lease_token = %(token)s AND (state = 'undoing' OR state = 'running' AND cancelled_by = '')
"""


_NOTE_RUN = """
INSERT INTO workers_steprun (operation_id, step, undo, attempt, worker, host, started_at, finished_at, outcome, error,
    traceback)
VALUES (%(id)s, %(step)s, %(undo)s, %(attempt)s, %(worker)s, %(host)s, %(started)s, %(at)s, %(outcome)s, %(error)s,
    %(traceback)s)
"""

_MADE = """
UPDATE workers_footprint SET state = 'made' WHERE subject_id = %(subject)s AND operation_id = %(id)s AND step = %(step)s
    AND host = %(host)s
"""

_FREE_SUBJECTS = """
UPDATE workers_subject SET holder = CASE WHEN holder = %(id)s THEN NULL ELSE holder END,
    sharers = sharers - (SELECT count(*) FROM workers_subjectlock l WHERE l.operation_id = %(id)s
                         AND l.subject_id = workers_subject.id AND NOT l.exclusive)
WHERE id IN (SELECT subject_id FROM workers_subjectlock WHERE operation_id = %(id)s)
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a step, as its row will show it; error and traceback are empty where it went well."""

    step: str
    undo: bool
    host: str
    worker: str
    outcome: str = "success"
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of this process to run the step at `cursor`, in the direction that `state` says."""

    operation_id: UUID
    cursor: int
    state: str  # the operation's state while the lease holds: running or undoing
    token: str


def _moment(now: float) -> dict[str, Any]:
    """Return `now` in both forms that the columns have."""
    return {"now": now, "at": datetime.fromtimestamp(now, UTC)}


def take(lease: Lease, *, direction: str, worker: str, lease_s: float) -> Context | None:
    """Take the step for `worker`; None where it is stale, early, taken, overtaken or not admitted."""
    now = clock.now()
    values: dict[str, Any] = {
        "token": lease.token,
        "worker": worker,
        "until": now + lease_s,
        "now": now,
        "id": lease.operation_id,
        "cursor": lease.cursor,
    }
    rows = sql.fetch(_TAKES[direction], values)
    if not rows:
        return None
    (
        kind,
        subject,
        project,
        user,
        request,
        params,
        results,
        host,
        attempt,
        round_,
        error,
        by,
        deadline,
        epoch,
    ) = rows[0]
    return Context(
        operation_id=lease.operation_id,
        kind=kind,
        subject_id=sql.as_uuid(subject),
        epoch=epoch or 0,
        project_id=project,
        user_id=user,
        request_id=request,
        host=host,
        params=sql.as_json(params),
        results=sql.as_json(results),
        attempt=attempt,
        round=round_,
        error=error,
        cancelled_by=by,
        deadline=deadline,
        started_at=now,
    )


def note_run(ctx: Context, attempt: Attempt) -> None:
    """Write the row of an attempt that ends now."""
    values = {
        "id": ctx.operation_id,
        "step": attempt.step,
        "undo": attempt.undo,
        "attempt": ctx.attempt,
        "worker": attempt.worker,
        "host": attempt.host,
        "started": datetime.fromtimestamp(ctx.started_at, UTC),
        "outcome": attempt.outcome,
        "error": attempt.error,
        "traceback": attempt.traceback,
        "at": datetime.fromtimestamp(clock.now(), UTC),
    }
    sql.execute(_NOTE_RUN, values)
    took_s, direction = clock.now() - ctx.started_at, "undo" if attempt.undo else "do"
    ended = partial(metrics.step_ended, ctx.kind, attempt.step, direction, attempt.outcome, took_s)
    transaction.on_commit(ended, robust=True)


def note_made(ctx: Context, step: str, host: str) -> None:
    """Write that the step's footprints on this host stand for things that are there."""
    sql.execute(_MADE, {"subject": ctx.subject_id, "id": ctx.operation_id, "step": step, "host": host})


def advance(lease: Lease, ctx: Context, *, to: int, token_next: str | None, lease_s: float) -> bool:
    """Move the cursor; with token_next the next step is leased in the same breath. False: the lease is not ours."""
    now = clock.now()
    return bool(
        sql.execute(
            _ADVANCE,
            {
                "next": to,
                "attempt": 1 if token_next else 0,
                "results": ctx.results,
                "host": ctx.host,
                "token_next": token_next,
                "until": now + lease_s,
                "id": lease.operation_id,
                "token": lease.token,
                "state": lease.state,
                **_moment(now),
            },
        )
    )


def end(lease: Lease, ctx: Context, *, state: str, error: str = "", heard: bool = False) -> bool:
    """End the operation. False: the lease is not ours. heard: nor is it where another cancels it than ctx says."""
    ended = sql.execute(
        _END,
        {
            "end": state,
            "error": error,
            "results": ctx.results,
            "host": ctx.host,
            "id": lease.operation_id,
            "token": lease.token,
            "state": lease.state,
            "whoever": not heard,
            "by": ctx.cancelled_by,
            **_moment(clock.now()),
        },
    )
    if ended:
        transaction.on_commit(partial(metrics.operation_ended, ctx.kind, state), robust=True)
    return bool(ended)


def turn_back(lease: Lease, *, to: int, error: str, undo_s: float) -> bool:
    """Start undoing at the step `to`, with undo_s more until the deadline. False: the lease is not ours."""
    values = {
        "error": error,
        "to": to,
        "undo_s": undo_s,
        "id": lease.operation_id,
        "token": lease.token,
        **_moment(clock.now()),
    }
    return bool(sql.execute(_TURN_BACK, values))


def begin_anew(lease: Lease, results: dict[str, Any], *, undo_s: float) -> bool:
    """Start the workflow again from its first step, everything being undone. False: not ours, or it is cancelled."""
    values = {
        "results": results,
        "undo_s": undo_s,
        "id": lease.operation_id,
        "token": lease.token,
        **_moment(clock.now()),
    }
    return bool(sql.execute(_BEGIN_ANEW, values))


def wished_end(lease: Lease) -> str:
    """Return who has cancelled the operation; empty: nobody yet."""
    statement = "SELECT cancelled_by FROM workers_operation WHERE id = %(id)s"
    return str(sql.fetch(statement, {"id": lease.operation_id})[0][0])


def is_ours(lease: Lease) -> bool:
    """Tell whether the lease holds, and the operation stands as it says."""
    statement = (
        "SELECT 1 FROM workers_operation WHERE id = %(id)s AND lease_token = %(token)s AND state = %(state)s"
    )
    return bool(sql.fetch(statement, {"id": lease.operation_id, "token": lease.token, "state": lease.state}))


def pause(lease: Lease, *, after_s: float, counts: bool, reason: str = "", slow: bool = False) -> bool:
    """Give the lease back; the step runs again after after_s. counts: the attempt counts as one. slow: as Wait says.

    False: it is not ours any more, or the operation is cancelled or overtaken and goes no further.
    """
    now = clock.now()
    values = {
        "run_after": now + after_s,
        "uncounted": 0 if counts else 1,
        "reason": reason[:255],
        "slow": slow,
        "id": lease.operation_id,
        "token": lease.token,
        **_moment(now),
    }
    return bool(sql.execute(_PAUSE, values))


def put_off(operation_id: UUID, *, after_s: float) -> None:
    """Have the sweeper publish an operation again after after_s, unless somebody runs a step of it."""
    statement = """UPDATE workers_operation SET run_after = %(at)s, dispatched_at = %(at)s, rings = 0
             WHERE id = %(id)s AND lease_token IS NULL"""
    sql.execute(statement, {"at": clock.now() + after_s, "id": operation_id})


def hold(ctx: Context) -> None:
    """Make sure, in a transaction, that the step still has its lease, and that nobody takes it before the commit.

    For a step that changes rows before its end which another may have changed since. Raises Overtaken.
    """
    statement = (
        "UPDATE workers_operation SET lease_token = lease_token WHERE id = %(id)s AND lease_token = %(token)s"
    )
    if not sql.execute(statement, {"id": ctx.operation_id, "token": ctx.token}):
        raise Overtaken


def give_back(token: str) -> bool:
    """Free a lease whatever became of its operation; one that was overtaken lets go of all that it still holds."""
    statement = """UPDATE workers_operation SET lease_token = NULL WHERE lease_token = %(token)s
             RETURNING id, state IN ('pending', 'running', 'undoing')"""
    with transaction.atomic(savepoint=False):
        freed = sql.fetch(statement, {"token": token})
        for key, active in freed:
            if not active:
                release_subjects(sql.as_uuid(key))
    return bool(freed)


def renew(tokens: list[str], *, lease_s: float) -> None:
    """Extend these leases from now, but those of operations whose time is up: their steps may hang."""
    marks = ", ".join(f"%(t{i})s" for i in range(len(tokens)))
    values: dict[str, Any] = {f"t{i}": token for i, token in enumerate(tokens)}
    values["now"] = clock.now()
    values["until"] = values["now"] + lease_s
    ours = f"lease_token IN ({marks}) AND deadline > %(now)s"
    statement = f"UPDATE workers_operation SET lease_until = %(until)s WHERE {ours}"  # noqa: S608
    sql.execute(statement, values)


def ring(operation_id: UUID, seen: float) -> bool:
    """Claim the right to publish again what was last published at `seen`. False: somebody else did."""
    statement = """UPDATE workers_operation SET dispatched_at = %(now)s, rings = rings + 1
             WHERE id = %(id)s AND dispatched_at = %(seen)s AND lease_token IS NULL"""
    return bool(sql.execute(statement, {"now": clock.now(), "id": operation_id, "seen": seen}))


def release_subjects(operation_id: UUID, *, secret: bool = True) -> None:
    """Free every subject that an ended operation holds, and erase its secret, unless the caller sees to that."""
    values = {"id": operation_id}
    sql.execute(_FREE_SUBJECTS, values)
    sql.execute("DELETE FROM workers_subjectlock WHERE operation_id = %(id)s", values)
    if secret:
        erase_secret(operation_id)


def forget_subject(subject_id: UUID) -> None:
    """Remove the subject of a thing that is gone, with every lock on it; its operations stay as its history."""
    values = {"id": subject_id}
    sql.execute("DELETE FROM workers_subjectlock WHERE subject_id = %(id)s", values)
    sql.execute("DELETE FROM workers_subject WHERE id = %(id)s", values)


def erase_secret(operation_id: UUID) -> None:
    """Remove the secret parameters of an operation that has ended."""
    sql.execute("DELETE FROM workers_secret WHERE operation_id = %(id)s", {"id": operation_id})
