"""Publishes what the ledger says is next, as Celery chains; a publish that fails is the sweeper's case, no error."""

import time
from dataclasses import dataclass
from uuid import UUID

import structlog
from celery import current_app
from kombu.exceptions import OperationalError as BrokerError

from workers import messages, route, sql, workflow
from workers.models import ACTIVE, Operation, State
from workers.probes import reach
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
    """Return the links that follow in the ledger.

    None where the operation has ended or waits for admission, or where only a newer version knows its kind.
    """
    flow = workflow.find(operation.kind)
    if flow is None:
        return []
    where = (flow, operation.params, operation.host, operation.cursor)
    if operation.state == State.UNDOING:
        return route.undo_segment(*where)
    if operation.state in ACTIVE and operation.admitted:
        links = route.segment(*where)
        return route.slowly(links) if operation.slow and links else links
    return []


def rests() -> bool:
    """Tell whether the broker failed so lately that this process does not ask it."""
    return time.monotonic() < _silence.until_s


def publish_accepted(operation: Operation) -> bool:
    """Publish the first segment of an operation whose acceptance has just been committed."""
    reach(operation.kind, "accepted")
    log.info(
        "operation.accepted",
        operation_id=str(operation.id),
        kind=operation.kind,
        subject_id=str(operation.subject_id),
        project_id=operation.project_id,
    )
    return publish(operation)


def publish(operation: Operation) -> bool:
    """Publish the operation's next segment as one chain; False where the broker does not take it."""
    links = links_of(operation)
    if not links:
        return True
    if rests():
        return False
    task = current_app.tasks[STEP_TASK]
    first, *others = (
        task.si(*messages.of_step(operation.id, link.direction, link.cursor)).set(queue=link.queue)
        for link in links
    )
    try:
        # What celery.chain does in the end; it takes the same time again to get there.
        first.apply_async(chain=others[::-1])
    except (BrokerError, OSError) as error:
        _silence.until_s = time.monotonic() + BROKER_REST_S
        log.warning("dispatch.failed", operation_id=str(operation.id), error=str(error))
        return False
    return True


_POSITION = """
SELECT kind, state, params, host, cursor, admitted, slow FROM workers_operation WHERE id = %(id)s
"""


def publish_id(operation_id: UUID) -> bool:
    """Publish what follows in an operation, as it stands in the ledger now."""
    for kind, state, params, host, cursor, admitted, slow in sql.fetch(_POSITION, {"id": operation_id}):
        return publish(
            Operation(
                id=operation_id,
                kind=kind,
                state=state,
                params=sql.as_json(params),
                host=host,
                cursor=cursor,
                admitted=admitted,
                slow=slow,
            )
        )
    return True
