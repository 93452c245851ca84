"""What becomes of the operations of a host that is down, as each workflow's table says (`host_dies`).

Who is given up on may still be at work, cut off: the epochs of its subjects rise, so that it can end no step, and no
driver takes its word for a guest that another operation has touched since. What it holds stays in its footprints; it
removes that when it is back, before guests are placed on it again (workers.host).
"""

import structlog
from django.db import transaction
from django.db.models import F, QuerySet

from workers import clock, dispatch, route, undoing, workflow
from workers.models import ACTIVE, Host, Operation, State, Subject, SubjectLock, utc_now
from workers.workflow import HOST, HostDies, Workflow

log = structlog.get_logger()


def left_waiting(active: QuerySet[Operation]) -> QuerySet[Operation]:
    """Return those of the active operations that no worker runs and whose host is down."""
    down = Host.objects.exclude(alive=True, forced_down=False)
    return active.filter(host__in=list(down.values_list("name", flat=True)), lease_token=None)


def let_go(operation: Operation) -> None:
    """Have the operation go on, or back, without its host where its next step is there and its workflow says so."""
    flow = workflow.get(operation.kind)
    if not (0 <= operation.cursor < len(flow.steps)) or flow.steps[operation.cursor].on != HOST:
        return
    if flow.host_dies is HostDies.LEAVE:
        _go_on(flow, operation)
    elif operation.state == State.UNDOING or flow.host_dies in (HostDies.MOVE, HostDies.UNDO):
        _go_back(flow, operation)


def _go_on(flow: Workflow, operation: Operation) -> None:
    cursor = route.next_cursor(flow, operation.params, None, operation.cursor)
    idle = Operation.objects.filter(id=operation.id, lease_token=None, state__in=ACTIVE)
    # For one that waits to be admitted, dispatched_at is when its time began to stand still.
    idle.filter(admitted=True).update(dispatched_at=clock.now())
    idle.update(host=None, cursor=cursor, attempt=0, run_after=0)
    dispatch.publish_id(operation.id)


def _go_back(flow: Workflow, operation: Operation) -> None:
    now, host = clock.now(), operation.host
    back = operation.state == State.UNDOING
    words = f"host {host} is down"
    error = f"{operation.error}; {words}" if back else words
    same = {"state": operation.state, "cursor": operation.cursor, "host": host}
    with transaction.atomic():
        # In the order in which a delete that comes at this moment takes the same rows: server, subject, operation.
        if flow.leave_host is not None:
            flow.leave_host(undoing.context_of(operation, error))
        _raise_epochs(operation)
        idle = Operation.objects.filter(id=operation.id, lease_token=None, **same)
        turned = idle.update(
            state=State.UNDOING,
            host=None,
            cursor=route.previous_cursor(flow, operation.params, None, operation.cursor),
            error=error,
            attempt=0,
            rings=0,
            run_after=0,
            waits_for="",
            admitted=True,
            dispatched_at=now,
            deadline=max(now, operation.deadline) + (0 if back else flow.undo_s(operation.params)),
            updated_at=utc_now(),
        )
        if not turned:
            transaction.set_rollback(True)
            return
        Host.objects.filter(name=host).update(alive=False)  # it cleans up before it counts as alive again
    log.warning("operation.left_host", operation_id=str(operation.id), kind=operation.kind, host=host)
    dispatch.publish_id(operation.id)


def _raise_epochs(operation: Operation) -> None:
    locks = SubjectLock.objects.filter(operation=operation, exclusive=True)
    Subject.objects.filter(id__in=locks.values("subject_id")).update(epoch=F("epoch") + 1)
    locks.update(epoch=F("epoch") + 1)
