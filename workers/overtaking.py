"""Accepts deletions, which overtake whatever holds their subject: the subject's epoch rises with their acceptance."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from computecloud import metrics
from computecloud.wire.errors import NotFound
from workers import acceptance, ledger, sql
from workers.models import ACTIVE, Operation, State, Subject, SubjectLock, utc_now


def accept_overtaking(
    *,
    kind: str,
    subject: tuple[str, UUID],
    project_id: str,
    user_id: str,
    params: Mapping[str, Any],
    host: str | None = None,
) -> Operation:
    """Accept the deletion of a subject, overtaking whatever holds it; a second one returns the first.

    The subject's epoch rises, so no step of an overtaken operation can be taken or ended any more. The new operation's
    first step waits for the end of the one that may be running. Raises NotFound where there is no such subject.
    """
    subject_type, subject_id = subject
    raised = Subject.objects.filter(id=subject_id, deleting=False).update(
        epoch=F("epoch") + 1, deleting=True, sharers=0
    )
    if not raised:
        running = Operation.objects.filter(subject_id=subject_id, kind=kind, state__in=ACTIVE).first()
        if running is None:
            raise NotFound(f"{subject_type} {subject_id} could not be found.")
        return running
    _cancel(subject_id, kind)
    operation = acceptance.write(
        kind=kind, subject=subject, project_id=project_id, user_id=user_id, params=params, host=host
    )
    Subject.objects.filter(id=subject_id).update(holder=operation.id)
    epoch = Subject.objects.values_list("epoch", flat=True).get(id=subject_id)
    sql.insert([SubjectLock(operation=operation, subject_id=subject_id, epoch=epoch)])
    acceptance.dispatch_on_commit(operation)
    return operation


def _cancel(subject_id: UUID, by: str) -> None:
    """Cancel what is active on the subject; one whose step runs keeps its lock until that step has ended."""
    locks = SubjectLock.objects.filter(subject_id=subject_id)
    for operation_id, kind in list(locks.values_list("operation_id", "operation__kind")):
        active = Operation.objects.filter(id=operation_id, state__in=ACTIVE)
        overtaken = active.update(state=State.CANCELLED, error=f"overtaken by {by}", finished_at=utc_now())
        if overtaken:
            transaction.on_commit(partial(metrics.operation_ended, kind, "overtaken"), robust=True)
        # Looked at only now: from the update on, no worker can take it.
        if Operation.objects.filter(id=operation_id, lease_token=None).exists():
            ledger.release_subjects(operation_id)
