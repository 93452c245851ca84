"""Cancels operations: marks what is under way, and turns it back at once where nobody runs a step of it.

The mark alone decides: no step of a marked operation is taken or ended any more, but its last one, whose success wins.
A step that is running goes on to its end and is then undone with the others. What is being undone already goes on so,
and ends there: it does not begin anew.
"""

from uuid import UUID

import structlog
from django.db.models import Q

from computecloud.wire.errors import Conflict, NotFound
from workers import history, recovery, workflow
from workers.models import IS_ACTIVE, Operation, State

log = structlog.get_logger()


class CannotCancel(Conflict):
    """The operation has ended, or is one that always goes on."""


def cancel(operation_id: UUID, *, by: str) -> Operation:
    """Cancel an operation in the name of `by`, and return it as it stands now; a second call changes nothing.

    It ends as `cancelled`, as `succeeded` where its last step was running, or as `failed` where its undo fails. Raises
    NotFound, CannotCancel.
    """
    always = [kind for kind, flow in workflow.registered().items() if flow.keeps_trying]
    active = Operation.objects.filter(IS_ACTIVE, id=operation_id).exclude(kind__in=always)
    active.filter(cancelled_by="").update(cancelled_by=by[:255])
    # Read after the mark: nothing moves it forward any more.
    operation = active.exclude(cancelled_by="").first()
    if operation is None:
        raise _refusal(operation_id)
    # What this version does not know was accepted by a newer one, and a worker of that turns it back.
    known = workflow.find(operation.kind) is not None
    turned = known and operation.state != State.UNDOING and recovery.turn_back_cancelled(operation)
    log.info("operation.cancelled", operation_id=str(operation_id), by=by, turned=turned)
    operation.refresh_from_db()
    return operation


def _refusal(operation_id: UUID) -> NotFound | CannotCancel:
    operation = history.find(Q(id=operation_id))
    if operation is None:
        return NotFound(f"Operation {operation_id} could not be found.")
    named = f"Operation {operation_id} ({operation.kind})"
    if operation.finished_at is not None:
        return CannotCancel(f"{named} has ended: it is {operation.state}. There is nothing to cancel.")
    return CannotCancel(
        f"{named} cannot be cancelled: it always goes on to its end, for nobody can make again what it has removed."
    )
