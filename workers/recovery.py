"""Recovery: what beat has done every few seconds, and what a host's worker does when it takes its host.

The broker may lose anything; the ledger says what stands still, and this publishes it again.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet

from workers import (
    admission,
    clock,
    clock_steps,
    dispatch,
    forsaken,
    ledger,
    lost_hosts,
    queues,
    retry,
    route,
    sql,
    undoing,
    waiting,
    workflow,
)
from workers.models import ACTIVE, IS_ACTIVE, Inquiry, Operation, State, StepRun, Subject, utc_now
from workers.process import PROCESS
from workers.workflow import CONTROL, Step, Workflow

log = structlog.get_logger()

RING_AFTER_S = 3.0  # a link that was published and not taken for this long may be lost
RING_IN_QUEUE_S = 12.0  # the same where its queue is not empty, for its message may be in there
RING_ANYWAY_S = 60.0  # the longest pause between two rings
BATCH = 500
FETCHED = 16  # messages that a control worker may have had in its memory when it died, and more
GOES_FORWARD = Q(state__in=(State.PENDING, State.RUNNING))


def sweep() -> None:
    """Free expired leases, turn back what is past its deadline, publish what was never taken, admit who waits."""
    clock_steps.correct()
    now = clock.now()
    ours = _active().filter(kind__in=workflow.registered())
    expired = _leased().filter(lease_until__lt=now)
    _each(
        expired[:BATCH], lambda operation: free(operation, f"the lease of {operation.lease_worker} ran out")
    )
    _each(ours.filter(lease_token=None, admitted=True, deadline__lt=now)[:BATCH], past_deadline)
    _each(forsaken.left(_active(), now)[:BATCH], forsake)
    marked = ours.filter(GOES_FORWARD, lease_token=None).exclude(cancelled_by="")
    _each(marked[:BATCH], turn_back_cancelled)
    _each(lost_hosts.left_waiting(ours)[:BATCH], lost_hosts.let_go)
    depths: dict[str, int] = {}
    due = ours.filter(
        _is_rung_again(now),
        lease_token=None,
        admitted=True,
        run_after__lte=now,
        dispatched_at__lt=now - RING_AFTER_S,
    )
    woken = ours.filter(lease_token=None, admitted=True, run_after__gt=0, run_after__lte=now, rings=0)
    first = list(woken[:BATCH])
    others = due.exclude(id__in=[one.id for one in first])[:BATCH]
    by_age = sorted([*first, *others], key=lambda operation: operation.dispatched_at)
    _each(by_age, lambda operation: _ring(operation, now, depths))
    while admission.admit_next():
        pass
    Inquiry.objects.filter(asked_at__lt=datetime.fromtimestamp(now - 120, UTC)).delete()


def _each(operations: Iterable[Operation], act: Callable[[Operation], object]) -> None:
    """Do the same to some operations; one that it fails for may not hold up the others."""
    for operation in operations:
        try:
            act(operation)
        except DatabaseError:
            raise
        except Exception:
            log.exception("sweep.failed", operation_id=str(operation.id), kind=operation.kind)


_WAKE = """
UPDATE workers_operation SET run_after = 0, dispatched_at = %(now)s
WHERE subject_id = %(subject_id)s AND state IN ('pending', 'running', 'undoing') AND lease_token IS NULL AND admitted
RETURNING id
"""


def wake(subject_id: UUID) -> None:
    """Publish again, now, what is active on a subject: what it waited for has happened."""
    for (key,) in sql.fetch(_WAKE, {"subject_id": subject_id, "now": clock.now()}):
        dispatch.publish_id(sql.as_uuid(key))


def take_over_host(host: str) -> int:
    """Free every lease that an earlier worker of this host held, and publish what follows; returns how many.

    Called by a worker that holds the host's lock file, which proves that the earlier one is dead. It may hold leases
    itself by then: RabbitMQ delivers while a worker still asks for its second queue.
    """
    lost = list(_leased().filter(lease_worker__startswith=f"{host}:").exclude(lease_worker=PROCESS.name))
    _each(lost, lambda operation: free(operation, f"worker {operation.lease_worker} died"))
    _each(_active().filter(host=host, lease_token=None, admitted=True), dispatch.publish)
    return len(lost)


def leased_by(worker: str) -> list[Operation]:
    """Return what holds a lease of this worker."""
    return list(_leased().filter(lease_worker=worker))


def take_over_control(prefix: str) -> int:
    """Free the leases of this machine's control workers whose processes are gone; returns how many.

    What they had fetched and not begun is gone with them on Redis: the oldest of what waits is published again.
    """
    lost = [
        operation
        for operation in _leased().filter(lease_worker__startswith=prefix)
        if not Path(f"/proc/{operation.lease_worker.removeprefix(prefix)}").exists()
    ]
    _each(lost, lambda operation: free(operation, f"worker {operation.lease_worker} died"))
    _publish_fetched()
    return len(lost)


def _publish_fetched() -> None:
    published: list[UUID] = []

    def publish(operation: Operation) -> None:
        if len(published) < FETCHED and any(
            link.queue == CONTROL for link in dispatch.links_of(operation)[:1]
        ):
            dispatch.publish(operation)
            published.append(operation.id)

    due = _active().filter(lease_token=None, admitted=True, run_after__lte=clock.now())
    _each(due.filter(kind__in=workflow.registered())[:BATCH], publish)


def free(operation: Operation, why: str) -> None:
    """Note a lost attempt and free its lease; one attempt too many ends it, forward or back, for it may be poison.

    Of a kind that only newer workers know, the lease is freed for them.
    """
    back = operation.state == State.UNDOING
    flow = workflow.find(operation.kind)
    step = flow.steps[operation.cursor] if flow and 0 <= operation.cursor < len(flow.steps) else None
    held = Operation.objects.filter(id=operation.id, lease_token=operation.lease_token)
    with transaction.atomic():
        freed = held.update(lease_token=None, run_after=0, dispatched_at=clock.now(), rings=0)
        if not freed:
            return
        # It may have been overtaken since it was read.
        operation.refresh_from_db(fields=["state", "cancelled_by"])
        if step is not None:
            StepRun.objects.create(
                operation=operation,
                step=step.name,
                undo=back,
                attempt=operation.attempt,
                worker=operation.lease_worker,
                host="" if step.on == CONTROL else operation.host or "",
                started_at=datetime.fromtimestamp(operation.leased_at, UTC),
                finished_at=utc_now(),
                outcome=StepRun.Outcome.LOST,
                error=why,
            )
        if operation.state not in ACTIVE:
            ledger.release_subjects(operation.id)
    log.warning("lease.lost", operation_id=str(operation.id), kind=operation.kind, why=why)
    if step is not None and flow is not None:
        _judge_lost(flow, step, operation, back=back)
    elif operation.cancelled_by and flow is not None:
        turn_back(operation, undoing.cancelled_in_words(operation.cancelled_by))
    if operation.state in ACTIVE:
        dispatch.publish_id(operation.id)
    else:
        wake(operation.subject_id)


def _judge_lost(flow: Workflow, step: Step, operation: Operation, *, back: bool) -> None:
    """Turn back, or end, an operation that has lost too many workers at a step, or is cancelled."""
    onward = not back and not flow.keeps_trying
    judged = retry.verdict(retry.HostLost(), attempt=operation.attempt, attempts=step.attempts)
    if onward and isinstance(judged, retry.GiveUp):
        turn_back(operation, f"step {step.name} lost its worker {operation.attempt} times; not tried again")
    elif not onward and operation.state in ACTIVE:
        _give_up_poison(operation, step)
    elif operation.cancelled_by:
        turn_back(operation, undoing.cancelled_in_words(operation.cancelled_by))


def _give_up_poison(operation: Operation, step: Step) -> None:
    """Fail an undo, or a delete, that has lost too many workers; other failures of it do not count."""
    back = operation.state == State.UNDOING
    lost = operation.runs.filter(step=step.name, undo=back, outcome=StepRun.Outcome.LOST).count()
    if lost >= step.attempts:
        words = f"{'undo of ' if back else ''}step {step.name} lost its worker {lost} times; not tried again"
        fail(operation, f"{operation.error}; {words}" if operation.error else words)


def past_deadline(operation: Operation) -> None:
    """Undo an operation whose time is up; one that is undoing already, or is never undone, fails with leftovers."""
    flow = workflow.get(operation.kind)
    back = operation.state == State.UNDOING
    allowed_s = flow.total_s(operation.params) if back else flow.forward_s(operation.params)
    error = f"not {'undone' if back else 'finished'} within {allowed_s:.0f} s"
    if waits := waiting.of(operation):
        error = f"{error}: {waits.reason}"
    if back or flow.keeps_trying:
        fail(operation, f"{operation.error}; {error}" if operation.error else error)
    else:
        turn_back(operation, error)
        dispatch.publish_id(operation.id)


def forsake(operation: Operation) -> None:
    """Fail an operation of a kind that only a newer version knows, and that this has not ended by its deadline."""
    words = (
        f"no worker knows what {operation.kind} is: a newer version accepted it, and did not end it in time"
    )
    fail(operation, f"{words}; {operation.error}" if operation.error else words)


def turn_back_cancelled(operation: Operation) -> bool:
    """Start undoing an operation that was cancelled; False where its step still runs, or it has ended."""
    turned = turn_back(operation, undoing.cancelled_in_words(operation.cancelled_by))
    transaction.on_commit(
        partial(dispatch.publish_id, operation.id), robust=True
    )  # to say it twice does no harm
    return turned


def turn_back(operation: Operation, error: str) -> bool:
    """Start undoing an operation that nobody runs; False where somebody does, or it has ended.

    It goes to the queues even where its tenant has enough there: its end makes room.
    """
    flow = workflow.get(operation.kind)
    now = clock.now()
    back = route.previous_cursor(flow, operation.params, operation.host, operation.cursor)
    idle = Operation.objects.filter(GOES_FORWARD, id=operation.id, lease_token=None, cursor=operation.cursor)
    return bool(
        idle.update(
            state=State.UNDOING,
            cursor=back,
            error=error,
            attempt=0,
            rings=0,
            run_after=0,
            dispatched_at=now,
            waits_for="",
            admitted=True,
            deadline=max(now, operation.deadline) + flow.undo_s(operation.params),
            updated_at=utc_now(),
        )
    )


def fail(operation: Operation, error: str) -> None:
    """End an operation as failed; what it left stays in its footprints, for delete and audits to clean."""
    flow = workflow.find(operation.kind)
    ctx = undoing.context_of(operation, error)
    ctx.leftovers = True
    with transaction.atomic():
        idle = Operation.objects.filter(id=operation.id, lease_token=None, state__in=ACTIVE)
        if not idle.exists():
            return
        # First, as at the end of a step: a delete that comes takes the server first too.
        undoing.write_undone(flow.undone if flow else forsaken.writer(operation.subject_type), ctx)
        if not idle.update(state=State.FAILED, error=ctx.error, finished_at=utc_now()):
            transaction.set_rollback(True)
            return
        ledger.release_subjects(operation.id)
        Subject.objects.filter(id=operation.subject_id).update(deleting=False)
    log.error("operation.failed", operation_id=str(operation.id), kind=operation.kind, error=error)


_periodic: dict[str, Callable[[], None]] = {}


def register_periodic(name: str, work: Callable[[], None]) -> None:
    """Have beat run `work` in a control worker; computecloud.celery says how often."""
    _periodic[name] = work


def run_periodic(name: str) -> None:
    """Run a registered periodic task; one that only a newer beat knows is left to newer workers."""
    work = _periodic.get(name)
    if work is None:
        log.warning("message.not_understood", task="periodic", words=name)
        return
    work()


def _active() -> QuerySet[Operation]:
    return Operation.objects.filter(IS_ACTIVE).order_by("dispatched_at")


def _leased() -> QuerySet[Operation]:
    """Return what holds a lease, active or overtaken: a delete waits for the lease of what it overtook."""
    return Operation.objects.filter(lease_token__isnull=False).order_by("lease_until")


def _pause_s(rings: int) -> float:
    """Return how long what was rung so often is not rung again."""
    return float(min(RING_AFTER_S * 2**rings, RING_ANYWAY_S))


def _is_rung_again(now: float) -> Q:
    """Return what is not in such a pause: many that are, on a host that is down, would fill every batch."""
    where = Q(run_after__gt=0) | Q(dispatched_at__lt=now - RING_ANYWAY_S)
    rings = 0
    while (pause_s := _pause_s(rings)) < RING_ANYWAY_S:
        where |= Q(rings=rings, dispatched_at__lte=now - pause_s)
        rings += 1
    return where


def _ring(operation: Operation, now: float, depths: dict[str, int]) -> None:
    """Publish an operation again; later where its queue is not empty, for its message may be in there.

    What the broker does not take is no ring: the pauses that grow with the rings are for messages that wait somewhere.
    It is tried again after the shortest of them, behind what is due by then: another queue's broker may be well.
    """
    links = dispatch.links_of(operation)
    if not links or dispatch.rests():
        return
    queue = links[0].queue
    quiet_s = now - operation.dispatched_at
    if queue not in depths:
        depths[queue] = queues.depth(queue)
    if depths[queue] > 0 and quiet_s < RING_IN_QUEUE_S:
        return
    if quiet_s < _pause_s(operation.rings) and not operation.run_after:
        return
    if ledger.ring(operation.id, operation.dispatched_at) and not dispatch.publish(operation):
        Operation.objects.filter(id=operation.id).update(rings=0)
