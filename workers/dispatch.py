"""Publishes what the ledger says is next, as Celery chains; a publish that fails is the sweeper's case, no error."""

import time
from dataclasses import dataclass
from uuid import UUID

import structlog
from celery import chain, current_app
from kombu.exceptions import OperationalError as BrokerError

from workers import route, workflow
from workers.models import ACTIVE, Operation, State
from workers.route import Link

log = structlog.get_logger()

STEP_TASK = "workers.step"
BROKER_REST_S = (
    2.0  # a broker that failed is not asked again for so long: requests must not queue up behind it
)


@dataclass(slots=True)
class Silence:
    """Until when (monotonic seconds) this process does not ask the broker."""

    until_s: float = 0.0


_silence = Silence()


def links_of(operation: Operation) -> list[Link]:
    """Return the links that follow in the ledger; none where the operation has ended or waits for admission."""
    flow = workflow.get(operation.kind)
    where = (flow, operation.params, operation.host, operation.cursor)
    if operation.state == State.UNDOING:
        return route.undo_segment(*where)
    if operation.state in ACTIVE and operation.admitted:
        return route.segment(*where)
    return []


def publish(operation: Operation) -> bool:
    """Publish the operation's next segment as one chain; False where the broker does not take it."""
    links = links_of(operation)
    if not links:
        return True
    task = current_app.tasks[STEP_TASK]
    signatures = [
        task.si(operation.id.hex, link.direction, link.cursor).set(queue=link.queue) for link in links
    ]
    if time.monotonic() < _silence.until_s:
        return False
    try:
        (signatures[0] if len(signatures) == 1 else chain(*signatures)).apply_async()
    except (BrokerError, OSError) as error:
        _silence.until_s = time.monotonic() + BROKER_REST_S
        log.warning("dispatch.failed", operation_id=str(operation.id), error=str(error))
        return False
    return True


def publish_id(operation_id: UUID) -> bool:
    """Publish what follows in an operation, as it stands in the ledger now."""
    operation = Operation.objects.filter(id=operation_id).first()
    return operation is None or publish(operation)
