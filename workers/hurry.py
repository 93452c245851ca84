"""Has an operation that waits for its next try tried again now."""

from uuid import UUID

import structlog
from django.db.models import Q

from computecloud.wire.errors import Conflict, NotFound
from workers import clock, dispatch, history, workflow
from workers.models import ACTIVE, ArchivedOperation, Operation

log = structlog.get_logger()


class CannotRetry(Conflict):
    """The operation has ended, runs, waits for its tenant's turn, or is of a newer version."""


def retry_now(operation_id: UUID) -> Operation:
    """Publish an operation again, whatever it waits for, and return it; raises NotFound, CannotRetry."""
    idle = Operation.objects.filter(id=operation_id, state__in=ACTIVE, lease_token=None, admitted=True)
    idle = idle.filter(kind__in=workflow.registered())
    if not idle.update(run_after=0, rings=0, dispatched_at=clock.now()):
        raise _refusal(operation_id)
    log.info("operation.hurried", operation_id=str(operation_id))
    dispatch.publish_id(operation_id)
    return Operation.objects.get(id=operation_id)


def _refusal(operation_id: UUID) -> NotFound | CannotRetry:
    operation = history.find(Q(id=operation_id))
    if operation is None:
        return NotFound(f"Operation {operation_id} could not be found.")
    named = f"Operation {operation_id} ({operation.kind})"
    if isinstance(operation, ArchivedOperation) or operation.state not in ACTIVE:
        return CannotRetry(f"{named} has ended: it is {operation.state}. Ask for the same once more instead.")
    if workflow.find(operation.kind) is None:
        return CannotRetry(f"{named} is of a newer version: only a worker of that can go on with it.")
    if operation.lease_token is not None:
        return CannotRetry(f"{named} runs: a worker holds its step.")
    return CannotRetry(f"{named} waits for its tenant's turn. It is admitted when another of them ends.")
