"""What becomes of an operation that does not go on: its failed step is judged, what was begun is undone in reverse."""

import traceback
from collections.abc import Callable
from typing import Any

import structlog
from django.db import DatabaseError, transaction

from computecloud.config import CONFIG
from computecloud.wire.errors import CloudError
from workers import clock, footprints, ledger, retry, route, secrets
from workers.ledger import Attempt, Lease
from workers.models import Operation, State, StepRun
from workers.outcome import Outcome, Overtaken
from workers.probes import reach
from workers.process import PROCESS
from workers.workflow import CONTROL, Again, Context, Step, Workflow

log = structlog.get_logger()


def failed(flow: Workflow, step: Step, lease: Lease, ctx: Context, error: Exception) -> Outcome:
    """Note the failed attempt and go by its verdict: again, or back."""
    words = retry.in_words(error)
    judged = retry.verdict(error, attempt=ctx.attempt, attempts=step.attempts)
    note = {
        "outcome": StepRun.Outcome.ERROR.value,
        "error": words,
        "traceback": "".join(traceback.format_exception(error))[-4_000:],
    }
    if isinstance(judged, retry.GiveUp) and flow.keeps_trying:
        judged = retry.Retry(retry.backoff_s(ctx.attempt))
    try:
        with transaction.atomic():
            write_run(step, lease, ctx, **note)
            outcome = _gone_by(judged, words, flow, step, lease, ctx)
    except Overtaken:
        _log(step, lease, ctx, error, overtaken=True)
        return give_way(flow, lease, ctx, note)
    _log(step, lease, ctx, error, overtaken=False)
    return outcome


def _log(step: Step, lease: Lease, ctx: Context, error: Exception, *, overtaken: bool) -> None:
    """Log a failed attempt: as a matter of course where a delete overtook it, for then its subject is not as it was."""
    said = {"step": step.name, "attempt": ctx.attempt, "undo": lease.state}
    if overtaken and isinstance(error, CloudError):
        log.info("step.failed", **said, error=error.message)
    else:
        log.warning("step.failed", **said, exc_info=error)


def _gone_by(
    judged: retry.Retry | retry.GiveUp, words: str, flow: Workflow, step: Step, lease: Lease, ctx: Context
) -> Outcome:
    """Write what the verdict on a failed attempt says; raises Overtaken where the lease is not ours any more."""
    if isinstance(judged, retry.Retry):
        if not ledger.pause(lease, after_s=judged.after_s, counts=True):
            raise Overtaken
        return Outcome.STOP
    if lease.state == State.UNDOING:
        ctx.leftovers, ctx.error = True, f"{ctx.error}; undo of {step.name}: {words}"
        write_undone(flow.undone, ctx)
        _end(lease, ctx)
        return Outcome.ENDED
    back = route.previous_cursor(flow, ctx.params, ctx.host, lease.cursor)
    if not ledger.turn_back(lease, to=back, error=words, undo_s=flow.undo_s(ctx.params)):
        raise Overtaken
    return Outcome.PUBLISH


def undo(flow: Workflow, step: Step, lease: Lease, ctx: Context) -> Outcome:
    """Take one step back, or wait for what that takes."""
    reach(flow.kind, f"undo-{step.name}", "taken")
    footprints.removing(ctx, step)
    waits = step.undo(ctx) if step.undo is not None else None
    if waits is not None:
        log.info("undo.waits", step=step.name, reason=waits.reason)
        if not ledger.pause(lease, after_s=waits.after_s, counts=False, reason=waits.reason):
            raise Overtaken
        return Outcome.STOP
    reach(flow.kind, f"undo-{step.name}", "done")
    number = route.previous_cursor(flow, ctx.params, ctx.host, lease.cursor - 1)
    with transaction.atomic():
        footprints.gone(ctx, step)
        write_run(step, lease, ctx)
        if not ledger.advance(lease, ctx, to=number, token_next=None, lease_s=CONFIG.lease_s):
            raise Overtaken
    reach(flow.kind, f"undo-{step.name}", "committed")
    return Outcome.NEXT


def finish(flow: Workflow, lease: Lease, ctx: Context) -> Outcome:
    """Write what the workflow says of an operation that is undone, and end it or begin it anew.

    Who cancels it before the commit has this done once more; who comes later finds that it has ended, or turns back the
    new beginning. The ledger is written last, as at the end of a step: a delete that comes takes the server first too.
    """
    try:
        with transaction.atomic():
            _hear_of_cancelling(lease, ctx)
            again = _asked_again(flow, ctx)
            if again is not None:
                if not ledger.begin_anew(lease, again.results, undo_s=flow.undo_s(ctx.params)):
                    raise Overtaken
                return Outcome.PUBLISH
            write_undone(flow.undone, ctx)
            _end(lease, ctx, heard=True)
    except Overtaken:
        return give_way(flow, lease, ctx)
    except CloudError:  # what another has made of its subject meanwhile does not fit
        if ledger.is_ours(lease):
            raise
        return give_way(flow, lease, ctx)
    return Outcome.ENDED


def give_way(flow: Workflow, lease: Lease, ctx: Context, note: dict[str, Any] | None = None) -> Outcome:
    """Turn back an operation that was cancelled; free what one that was overtaken still holds.

    note: what the attempt came to, where that is not the cancelling itself.
    """
    log.info("step.overtaken", cursor=lease.cursor)
    with transaction.atomic():
        by, host = Operation.objects.values_list("cancelled_by", "host").get(id=lease.operation_id)
        back = route.previous_cursor(flow, ctx.params, host, lease.cursor)
        words = cancelled_in_words(by)
        if by and ledger.turn_back(lease, to=back, error=words, undo_s=flow.undo_s(ctx.params)):
            run = note or {"outcome": StepRun.Outcome.ERROR.value, "error": words}
            write_run(flow.steps[lease.cursor], lease, ctx, **run)
            return Outcome.PUBLISH
        ledger.give_back(lease.token)
    return Outcome.OVERTAKEN


def write_undone(write: Callable[[Context], None], ctx: Context) -> None:
    """Have a workflow write what it leaves; one that cannot may not keep its operation from ending."""
    try:
        with transaction.atomic():
            write(ctx)
    except DatabaseError:
        raise
    except Exception as error:
        log.exception("operation.undone_failed", operation_id=str(ctx.operation_id), kind=ctx.kind)
        ctx.leftovers, ctx.error = True, f"{ctx.error}; its end: {retry.in_words(error)}"


def _hear_of_cancelling(lease: Lease, ctx: Context) -> None:
    """Note who cancelled the operation while it was undone: beside what it was turned back for."""
    ctx.cancelled_by = ledger.wished_end(lease)
    words = cancelled_in_words(ctx.cancelled_by)
    if ctx.cancelled_by and words not in ctx.error:
        ctx.error = f"{ctx.error}; {words}"


def _asked_again(flow: Workflow, ctx: Context) -> Again | None:
    if flow.again is None or ctx.cancelled_by or ctx.leftovers or _is_late(flow, ctx):
        return None
    return flow.again(ctx)


def _is_late(flow: Workflow, ctx: Context) -> bool:
    """Tell whether a new beginning would be turned back at once, for what time it had is over."""
    return 0 < ctx.deadline <= clock.now() + flow.undo_s(ctx.params)


def context_of(operation: Operation, error: str) -> Context:
    """Return what a workflow is told of an operation that goes back by the hand of no worker."""
    return Context(
        operation_id=operation.id,
        kind=operation.kind,
        subject_id=operation.subject_id,
        epoch=0,
        project_id=operation.project_id,
        user_id=operation.user_id,
        request_id=operation.request_id,
        host=operation.host,
        params=operation.params,
        results=operation.results,
        round=operation.round,
        error=error,
        cancelled_by=operation.cancelled_by,
    )


def cancelled_in_words(by: str) -> str:
    """Return the reason that a cancelled operation shows."""
    return f"cancelled by {by}"


def write_run(step: Step, lease: Lease, ctx: Context, **outcome: str) -> None:
    """Write the row of an attempt that ends now."""
    host = "" if step.on == CONTROL else ctx.host or ""
    undone = lease.state == State.UNDOING
    ledger.note_run(ctx, Attempt(step=step.name, undo=undone, host=host, worker=PROCESS.name, **outcome))


def _end(lease: Lease, ctx: Context, *, heard: bool = False) -> None:
    """End an operation that was turned back: cancelled where that was wished and nothing is left, else failed."""
    wished = ctx.cancelled_by and not ctx.leftovers
    state = State.CANCELLED if wished else State.FAILED
    if not ledger.end(lease, ctx, state=state, error=ctx.error, heard=heard):
        raise Overtaken
    ledger.release_subjects(ctx.operation_id, secret=secrets.has(ctx.params))
