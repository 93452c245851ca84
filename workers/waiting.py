"""Why an operation does not run at this moment, in words, and its place among those that wait to be admitted."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from workers import route, workflow
from workers.liveness import is_up
from workers.models import ACTIVE, Operation, State, StepRun, SubjectLock
from workers.workflow import CONTROL


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why an operation waits; position (from 1) among its tenant's, and ahead in the cloud, where for admission."""

    reason: str
    position: int | None = None
    ahead: int | None = None


def of(operation: Operation) -> Waiting | None:
    """Return why the operation waits; None where a step of it runs, or it has ended."""
    if operation.state not in ACTIVE or operation.lease_token is not None:
        return None
    if operation.state == State.PENDING and not operation.admitted:
        return _for_admission(operation)
    return Waiting(_for_another(operation) or _for_its_time(operation) or _for_its_worker(operation))


def _for_admission(operation: Operation) -> Waiting:
    earlier = Operation.objects.filter(
        admitted=False, state=State.PENDING, created_at__lt=operation.created_at
    )
    position = earlier.filter(project_id=operation.project_id).count() + 1
    ahead = earlier.count()
    words = f"waits for admission: number {position} of its project, {ahead} accepted before it in the cloud"
    return Waiting(words, position, ahead)


def _for_another(operation: Operation) -> str:
    """Say which running step of another operation on the same subject is waited for."""
    subjects = SubjectLock.objects.filter(operation=operation).values("subject_id")
    locks = SubjectLock.objects.filter(subject_id__in=subjects).exclude(operation=operation)
    running = Operation.objects.filter(id__in=locks.values("operation_id"), lease_token__isnull=False).first()
    if running is None:
        return ""
    return f"waits for the running step of operation {running.id} ({running.kind})"


def _for_its_time(operation: Operation) -> str:
    if operation.run_after <= time.time():
        return ""
    moment = datetime.fromtimestamp(operation.run_after, UTC).strftime("%H:%M:%S UTC")
    if operation.waits_for:
        return f"{operation.waits_for}; looked at again at {moment}"
    failed = operation.runs.exclude(outcome=StepRun.Outcome.SUCCESS).order_by("-id").first()
    if failed is None:
        return f"waits for its next try at {moment}"
    return f"step {failed.step} failed ({failed.error}); tried again at {moment}"


def _for_its_worker(operation: Operation) -> str:
    flow = workflow.get(operation.kind)
    if not 0 <= operation.cursor < len(flow.steps):
        return "waits for a control worker"
    step = flow.steps[operation.cursor]
    if step.on == CONTROL or not operation.host:
        return f"step {step.name} waits for a control worker"
    if not is_up(operation.host):
        return f"step {step.name} waits for host {operation.host}, which is down"
    if operation.waits_for:
        return operation.waits_for
    return f"step {step.name} waits in queue {route.queue_of(step, operation.host)}"
