"""Runs one link: take the step, note its footprints, do it, and end it in one commit with its ledger row.

This is the engine's one place that catches every exception: what a step raises becomes a row and a verdict.
"""

import enum
import time
import traceback
from uuid import UUID

import structlog
from django.db import transaction

from computecloud.config import CONFIG
from hypervisors.driver import CallOverran
from workers import footprints, ledger, retry, route, workflow
from workers.ledger import DO, UNDO, Attempt, Lease
from workers.models import ACTIVE, Operation, State, StepRun
from workers.probes import reach
from workers.process import PROCESS, new_token
from workers.workflow import CONTROL, HOST, Again, Context, Step, Wait, Workflow

log = structlog.get_logger()


class Outcome(enum.Enum):
    """What a link's caller must do now."""

    STOP = "stop"  # nothing was to be done, or nothing more is to be said
    NEXT = "next"  # the chain goes on; at its end, what follows must be published
    PUBLISH = "publish"  # the chain is void: what follows must be published
    ENDED = "ended"  # the operation has ended: another tenant's turn
    OVERTAKEN = "overtaken"  # another operation took the subject, and may wait for this step's end


class Overtaken(Exception):
    """The operation was overtaken while its step ran; what the step wrote is rolled back."""


def run(operation_id: UUID, direction: str, cursor: int) -> Outcome:
    """Run one step, or find that it is not ours to run."""
    baton = PROCESS.pick_up(operation_id, cursor) if direction == DO else None
    if baton is not None:
        lease, ctx = baton.lease, baton.ctx
        ctx.started_at = time.time()
    else:
        state = State.RUNNING if direction == DO else State.UNDOING
        lease = Lease(operation_id, cursor, state.value, new_token())
        taken = ledger.take(lease, direction=direction, worker=PROCESS.name, lease_s=CONFIG.lease_s)
        if taken is None:
            return Outcome.STOP
        ctx = taken
    flow = workflow.get(ctx.kind)
    with structlog.contextvars.bound_contextvars(
        request_id=ctx.request_id,
        operation_id=str(operation_id),
        kind=ctx.kind,
        subject_id=str(ctx.subject_id),
    ):
        with PROCESS.running(lease):
            if direction == UNDO and cursor == route.FINISH:
                return _finish_undo(flow, lease, ctx)
            return _run_step(flow, lease, ctx, planned=baton is not None)


def _run_step(flow: Workflow, lease: Lease, ctx: Context, *, planned: bool) -> Outcome:
    step = flow.steps[lease.cursor]
    if step.on == HOST and not PROCESS.lock(ctx.subject_id):
        ledger.pause(lease, after_s=0.5, counts=False)
        return Outcome.STOP
    pending = None
    try:
        if lease.state == State.UNDOING:
            return _undo(flow, step, lease, ctx)
        if not planned:
            footprints.plan(ctx, step)
        return _do(flow, step, lease, ctx)
    except Overtaken:
        return _give_way(lease)
    except Exception as error:  # noqa: BLE001 — the runner judges whatever a step raises
        pending = error.pending if isinstance(error, CallOverran) else None
        return _failed(flow, step, lease, ctx, error)
    finally:
        if step.on == HOST:
            PROCESS.unlock(ctx.subject_id, pending)


def _do(flow: Workflow, step: Step, lease: Lease, ctx: Context) -> Outcome:
    reach(flow.kind, step.name, "taken")
    result = step.do(ctx) if step.do is not None else None
    if isinstance(result, Wait):
        log.info("step.waits", step=step.name, reason=result.reason)
        ledger.pause(lease, after_s=result.after_s, counts=False)
        return Outcome.STOP
    reach(flow.kind, step.name, "done")
    ctx.results[step.name] = result or {}
    with transaction.atomic():
        if step.record is not None:
            step.record(ctx, ctx.results[step.name])
        footprints.made(ctx, step)
        _write_run(step, lease, ctx)
        outcome, following = _move_on(flow, step, lease, ctx)
    if following is not None:
        PROCESS.pass_on(following, ctx)
    reach(flow.kind, step.name, "committed")
    return outcome


def _move_on(flow: Workflow, step: Step, lease: Lease, ctx: Context) -> tuple[Outcome, Lease | None]:
    """End the step in the ledger: the operation ends, or its cursor moves, with the next lease where it is ours."""
    number = route.next_cursor(flow, ctx.params, ctx.host, lease.cursor + 1)
    if number == len(flow.steps):
        flow.done(ctx)
        if not ledger.end(lease, ctx, state=State.SUCCEEDED):
            raise Overtaken
        ledger.release_subjects(ctx.operation_id)
        return Outcome.ENDED, None
    following = flow.steps[number]
    token = new_token() if step.on == HOST and following.on == HOST else None
    if not ledger.advance(lease, ctx, to=number, token_next=token, lease_s=CONFIG.lease_s):
        raise Overtaken
    if token is None:
        return Outcome.NEXT, None
    footprints.plan(ctx, following)
    ctx.attempt = 1
    return Outcome.NEXT, Lease(lease.operation_id, number, lease.state, token)


def _undo(flow: Workflow, step: Step, lease: Lease, ctx: Context) -> Outcome:
    reach(flow.kind, f"undo-{step.name}", "taken")
    footprints.removing(ctx, step)
    if step.undo is not None:
        step.undo(ctx)
    reach(flow.kind, f"undo-{step.name}", "done")
    number = route.previous_cursor(flow, ctx.params, ctx.host, lease.cursor - 1)
    with transaction.atomic():
        footprints.gone(ctx, step)
        _write_run(step, lease, ctx)
        if not ledger.advance(lease, ctx, to=number, token_next=None, lease_s=CONFIG.lease_s):
            raise Overtaken
    reach(flow.kind, f"undo-{step.name}", "committed")
    return Outcome.NEXT


def _finish_undo(flow: Workflow, lease: Lease, ctx: Context) -> Outcome:
    """Write what the workflow says of an operation that is undone, and end it or begin it anew."""
    try:
        with transaction.atomic():
            again = flow.undone(ctx)
            if isinstance(again, Again):
                if not ledger.begin_anew(lease, again.results):
                    raise Overtaken
                return Outcome.PUBLISH
            _end_failed(lease, ctx)
    except Overtaken:
        return _give_way(lease)
    return Outcome.ENDED


def _give_way(lease: Lease) -> Outcome:
    """Free the lease of an operation that was overtaken, and what it still holds where it has ended."""
    log.info("step.overtaken", cursor=lease.cursor)
    with transaction.atomic():
        ledger.give_back(lease.token)
        if not Operation.objects.filter(id=lease.operation_id, state__in=ACTIVE).exists():
            ledger.release_subjects(lease.operation_id)
    return Outcome.OVERTAKEN


def _end_failed(lease: Lease, ctx: Context) -> None:
    if not ledger.end(lease, ctx, state=State.FAILED, error=ctx.error):
        raise Overtaken
    ledger.release_subjects(ctx.operation_id)


def _failed(flow: Workflow, step: Step, lease: Lease, ctx: Context, error: Exception) -> Outcome:
    """Note the failed attempt and go by its verdict: again, or back."""
    words = retry.in_words(error)
    log.warning("step.failed", step=step.name, attempt=ctx.attempt, undo=lease.state, exc_info=error)
    judged = retry.verdict(error, attempt=ctx.attempt, attempts=step.attempts)
    note = {"error": words, "traceback": "".join(traceback.format_exception(error))[-4_000:]}
    if isinstance(judged, retry.GiveUp) and flow.keeps_trying:
        judged = retry.Retry(retry.backoff_s(ctx.attempt))
    try:
        with transaction.atomic():
            _write_run(step, lease, ctx, outcome=StepRun.Outcome.ERROR.value, **note)
            if isinstance(judged, retry.Retry):
                if not ledger.pause(lease, after_s=judged.after_s, counts=True):
                    raise Overtaken
                return Outcome.STOP
            if lease.state == State.UNDOING:
                ctx.leftovers, ctx.error = True, f"{ctx.error}; undo of {step.name}: {words}"
                flow.undone(ctx)
                _end_failed(lease, ctx)
                return Outcome.ENDED
            back = route.previous_cursor(flow, ctx.params, ctx.host, lease.cursor)
            if not ledger.turn_back(lease, to=back, error=words):
                raise Overtaken
            return Outcome.PUBLISH
    except Overtaken:
        return _give_way(lease)


def _write_run(step: Step, lease: Lease, ctx: Context, **outcome: str) -> None:
    host = "" if step.on == CONTROL else ctx.host or ""
    undo = lease.state == State.UNDOING
    ledger.note_run(ctx, Attempt(step=step.name, undo=undo, host=host, worker=PROCESS.name, **outcome))
