"""Why operations do not run at this moment, in words, and their places among those that wait to be admitted.

Asked for many at once, the ledger is read a few times in all, however many they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from workers import clock, route, sql, workflow
from workers.models import ACTIVE, Host, Operation, State, StepRun, SubjectLock
from workers.workflow import CONTROL

# Counted along the index of what waits: how many were accepted earlier, of the same tenant and of all.
_PLACES = """
SELECT id, rank() OVER (PARTITION BY project_id ORDER BY created_at), rank() OVER (ORDER BY created_at)
FROM workers_operation WHERE NOT admitted AND state = 'pending'
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why an operation waits; position (from 1) among its tenant's, and ahead in the cloud, where for admission.

    reason is for operators; `told` is what its tenant may know: no host, no error's inside.
    """

    reason: str
    position: int | None = None
    ahead: int | None = None
    told: str = field(default="", compare=False)


def of(operation: Operation) -> Waiting | None:
    """Return why the operation waits; None where a step of it runs, or it has ended."""
    return of_many([operation]).get(operation.id)


def of_many(operations: Iterable[Operation]) -> dict[UUID, Waiting]:
    """Return why each operation waits that does, in at most five queries."""
    idle = [one for one in operations if one.state in ACTIVE and one.lease_token is None]
    queued = [one for one in idle if one.state == State.PENDING and not one.admitted]
    others = [one for one in idle if one not in queued]
    places = _places(queued)
    found = {one.id: _for_admission(*places.get(one.id, (1, 1))) for one in queued}
    running, errors = _running_beside(others), _last_errors(others)
    down = _hosts_down(others)
    for one in others:
        found[one.id] = (
            _for_another(running.get(one.id)) or _for_its_time(one, errors) or _for_its_worker(one, down)
        )
    return found


def _places(queued: list[Operation]) -> dict[UUID, tuple[int, int]]:
    if not queued:
        return {}
    return {sql.as_uuid(key): (position, place) for key, position, place in sql.fetch(_PLACES, {})}


def _for_admission(position: int, place: int) -> Waiting:
    words = (
        f"waits for admission: number {position} of its project, {place - 1} accepted before it in the cloud"
    )
    return Waiting(words, position, place - 1, told=words)


def _running_beside(operations: list[Operation]) -> dict[UUID, tuple[UUID, str]]:
    """Return, by operation, another on a subject of it whose step runs."""
    held = SubjectLock.objects.filter(operation__in=[one.id for one in operations])
    subjects = list(held.values_list("operation_id", "subject_id")) if operations else []
    if not subjects:
        return {}
    leased = SubjectLock.objects.filter(
        subject__in={subject_id for _, subject_id in subjects}, operation__lease_token__isnull=False
    )
    running = {
        subject_id: (key, kind)
        for subject_id, key, kind in leased.values_list("subject_id", "operation_id", "operation__kind")
    }
    beside = {key: running[subject_id] for key, subject_id in subjects if subject_id in running}
    return {key: (other, kind) for key, (other, kind) in beside.items() if other != key}


def _for_another(running: tuple[UUID, str] | None) -> Waiting | None:
    if running is None:
        return None
    words = f"waits for the running step of operation {running[0]} ({running[1]})"
    return Waiting(words, told=words)


def _last_errors(operations: list[Operation]) -> dict[UUID, tuple[str, str]]:
    """Return the step and error of the last attempt that failed, of those operations whose time has not come."""
    later = [one.id for one in operations if one.run_after > clock.now() and not one.waits_for]
    if not later:
        return {}
    failed = StepRun.objects.filter(operation__in=later).exclude(outcome=StepRun.Outcome.SUCCESS)
    rows = failed.order_by("id").values_list("operation_id", "step", "error")
    return {key: (step, error) for key, step, error in rows}


def _for_its_time(operation: Operation, errors: dict[UUID, tuple[str, str]]) -> Waiting | None:
    if operation.run_after <= clock.now():
        return None
    moment = datetime.fromtimestamp(operation.run_after, UTC).strftime("%H:%M:%S UTC")
    if operation.waits_for:
        words = f"{operation.waits_for}; looked at again at {moment}"
        return Waiting(words, told=words)
    if operation.id not in errors:
        words = f"waits for its next try at {moment}"
        return Waiting(words, told=words)
    step, error = errors[operation.id]
    return Waiting(
        f"step {step} failed ({error}); tried again at {moment}",
        told=f"step {step} failed; tried again at {moment}",
    )


def _hosts_down(operations: list[Operation]) -> set[str]:
    names = {one.host for one in operations if one.host}
    if not names:
        return set()
    up = Host.objects.filter(name__in=names, alive=True, forced_down=False)
    return names - set(up.values_list("name", flat=True))


def _for_its_worker(operation: Operation, down: set[str]) -> Waiting:
    flow = workflow.find(operation.kind)
    if flow is None:  # accepted by a newer version, beside which this process still runs
        return Waiting(
            f"waits for a worker of a version that knows {operation.kind}", told="waits for a worker"
        )
    if not 0 <= operation.cursor < len(flow.steps):
        return Waiting("waits for a control worker", told="waits for a worker")
    step = flow.steps[operation.cursor]
    told = f"step {step.name} waits for a worker"
    if step.on == CONTROL or not operation.host:
        return Waiting(f"step {step.name} waits for a control worker", told=told)
    if operation.host in down:
        return Waiting(
            f"step {step.name} waits for host {operation.host}, which is down",
            told=f"step {step.name} waits for its host, which is down",
        )
    if operation.waits_for:
        return Waiting(operation.waits_for, told=operation.waits_for)
    return Waiting(f"step {step.name} waits in queue {route.queue_of(step, operation.host)}", told=told)
