"""Footprints: noted before the effect, made after it, removing before its removal, and the row gone with the thing."""

from uuid import UUID

from django.db.models import QuerySet

from workers import ledger, sql
from workers.models import Footprint
from workers.workflow import CONTROL, Context, Step


def plan(ctx: Context, step: Step) -> None:
    """Note what the step is about to leave behind; a note that is there already stays."""
    if step.leaves is None:
        return
    sql.insert(
        [
            Footprint(
                subject_id=ctx.subject_id,
                operation_id=ctx.operation_id,
                step=step.name,
                kind=trace.kind,
                host=_host(ctx, step),
                name=trace.name,
            )
            for trace in step.leaves(ctx)
        ],
        new_only=True,
    )


def made(ctx: Context, step: Step) -> None:
    """Note that the step's things are there."""
    if step.leaves is not None:
        ledger.note_made(ctx, step.name, _host(ctx, step))


def removing(ctx: Context, step: Step) -> None:
    """Note that the step's things are about to go."""
    if step.leaves is not None:
        _of_step(ctx, step).update(state=Footprint.State.REMOVING)


def gone(ctx: Context, step: Step) -> None:
    """Forget the step's things: they are gone."""
    if step.leaves is not None:
        _of_step(ctx, step).delete()


def forget(subject_id: UUID, *, host: str) -> None:
    """Forget a subject's things on one host: they are gone."""
    Footprint.objects.filter(subject_id=subject_id, host=host).delete()


def _of_step(ctx: Context, step: Step) -> QuerySet[Footprint]:
    """Return what the step has left where the operation runs now; what a host keeps that was given up on stays."""
    rows = Footprint.objects.filter(subject_id=ctx.subject_id, operation_id=ctx.operation_id, step=step.name)
    return rows.filter(host=_host(ctx, step))


def _host(ctx: Context, step: Step) -> str:
    return "" if step.on == CONTROL else ctx.host or ""
