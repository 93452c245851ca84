"""Runs one link: take the step, note its footprints, do it, and end it in one commit with its ledger row.

This is the engine's one place that catches every exception: what a step raises becomes a row and a verdict.
"""

from uuid import UUID

import structlog
from django.db import transaction

from computecloud.config import CONFIG
from hypervisors.driver import CallOverran
from workers import clock, footprints, ledger, route, secrets, undoing, workflow
from workers.ledger import DO, UNDO, Lease
from workers.models import State
from workers.outcome import Outcome, Overtaken
from workers.probes import reach
from workers.process import PROCESS, new_token
from workers.workflow import HOST, Context, Step, Wait, Workflow

log = structlog.get_logger()

NEWER_AFTER_S = 2.0  # what only a newer version knows is rung for so much later, for one of its workers


def run(operation_id: UUID, direction: str, cursor: int) -> Outcome:
    """Run one step, or find that it is not ours to run."""
    baton = PROCESS.pick_up(operation_id, cursor) if direction == DO else None
    if baton is not None:
        lease, ctx = baton.lease, baton.ctx
        ctx.started_at = clock.now()
    else:
        state = State.RUNNING if direction == DO else State.UNDOING
        lease = Lease(operation_id, cursor, state.value, new_token())
        taken = ledger.take(lease, direction=direction, worker=PROCESS.name, lease_s=CONFIG.lease_s)
        if taken is None:
            return Outcome.STOP
        ctx = taken
    ctx.token = lease.token
    flow = workflow.find(ctx.kind)
    if flow is None:
        log.warning("message.not_understood", task="step", kind=ctx.kind, operation_id=str(operation_id))
        why = "it waits for a worker of a newer version"
        if not ledger.pause(lease, after_s=NEWER_AFTER_S, counts=False, reason=why):
            ledger.give_back(lease.token)  # a delete has overtaken it, and waits for this lease
        return Outcome.STOP
    with structlog.contextvars.bound_contextvars(
        request_id=ctx.request_id,
        operation_id=str(operation_id),
        kind=ctx.kind,
        subject_id=str(ctx.subject_id),
        step=_name(flow, cursor),
    ):
        with PROCESS.running(lease):
            if direction == UNDO and cursor == route.FINISH:
                return undoing.finish(flow, lease, ctx)
            return _run_step(flow, lease, ctx, planned=baton is not None)


def _name(flow: Workflow, cursor: int) -> str:
    """Return the step's name for the log; none is the end of an undo."""
    return flow.steps[cursor].name if 0 <= cursor < len(flow.steps) else "finish"


def _run_step(flow: Workflow, lease: Lease, ctx: Context, *, planned: bool) -> Outcome:
    step = flow.steps[lease.cursor]
    if step.on == HOST and not (PROCESS.serves(ctx.host) and PROCESS.lock(ctx.subject_id)):
        paused = ledger.pause(lease, after_s=0.5, counts=False)
        return Outcome.STOP if paused else undoing.give_way(flow, lease, ctx)
    pending = None
    try:
        if lease.state == State.UNDOING:
            return undoing.undo(flow, step, lease, ctx)
        if not planned:
            footprints.plan(ctx, step)
        return _do(flow, step, lease, ctx)
    except Overtaken:
        return undoing.give_way(flow, lease, ctx)
    except Exception as error:  # noqa: BLE001 — the runner judges whatever a step raises
        pending = error.pending if isinstance(error, CallOverran) else None
        return undoing.failed(flow, step, lease, ctx, error)
    finally:
        if step.on == HOST:
            PROCESS.unlock(ctx.subject_id, pending)


def _do(flow: Workflow, step: Step, lease: Lease, ctx: Context) -> Outcome:
    reach(flow.kind, step.name, "taken")
    result = step.do(ctx) if step.do is not None else None
    if isinstance(result, Wait):
        log.info("step.waits", step=step.name, reason=result.reason)
        slow = result.slow
        if not ledger.pause(lease, after_s=result.after_s, counts=False, reason=result.reason, slow=slow):
            raise Overtaken
        return Outcome.STOP
    reach(flow.kind, step.name, "done")
    ctx.results[step.name] = result or {}
    with transaction.atomic():
        if step.record is not None:
            step.record(ctx, ctx.results[step.name])
        footprints.made(ctx, step)
        undoing.write_run(step, lease, ctx)
        outcome, following = _move_on(flow, step, lease, ctx)
    log.info("step.ended", ms=round((clock.now() - ctx.started_at) * 1_000, 1), outcome=outcome.name)
    if following is not None:
        PROCESS.pass_on(following, ctx)
    reach(flow.kind, step.name, "committed")
    return outcome


def _let_go(flow: Workflow, ctx: Context) -> None:
    """Free what an operation that succeeded has held; a subject that is gone is forgotten, not freed first."""
    if flow.ends_subject:
        ledger.forget_subject(ctx.subject_id)
    else:
        ledger.release_subjects(ctx.operation_id, secret=False)
    if secrets.has(ctx.params):
        ledger.erase_secret(ctx.operation_id)


def _move_on(flow: Workflow, step: Step, lease: Lease, ctx: Context) -> tuple[Outcome, Lease | None]:
    """End the step in the ledger: the operation ends, or its cursor moves, with the next lease where it is ours."""
    number = route.next_cursor(flow, ctx.params, ctx.host, lease.cursor + 1)
    if number == len(flow.steps):
        flow.done(ctx)
        if not ledger.end(lease, ctx, state=State.SUCCEEDED):
            raise Overtaken
        _let_go(flow, ctx)
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
