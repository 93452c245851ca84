"""Accepts operations: the row that cannot be lost, written in the caller's own transaction."""

import time
import uuid
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from computecloud.wire import requestid
from computecloud.wire.errors import Conflict, NotFound
from workers import admission, dispatch, ledger, route, workflow
from workers.models import ACTIVE, Operation, State, Subject, SubjectLock, utc_now


class SubjectBusy(Conflict):
    """Another operation holds the subject."""

    def __init__(self, subject_type: str, subject_id: UUID) -> None:
        super().__init__(
            f"Another operation is under way on {subject_type} {subject_id}. Wait until it has ended, or delete it."
        )


def accept(
    *,
    kind: str,
    subject: tuple[str, UUID],
    project_id: str,
    user_id: str,
    params: Mapping[str, Any],
    host: str | None = None,
) -> Operation:
    """Lock the subject, or make it where the workflow begins with it, and write the operation.

    It is dispatched when the caller's transaction commits.
    params: JSON that the steps work from; what is secret goes to workers.secrets.keep.
    host: where its host steps run, if that is known.
    Raises SubjectBusy where another operation holds the subject, NotFound where there is none.
    """
    operation = _write(
        kind=kind, subject=subject, project_id=project_id, user_id=user_id, params=params, host=host
    )
    epoch = _make(operation) if workflow.get(kind).makes_subject else _hold(operation)
    SubjectLock.objects.create(operation=operation, subject_id=operation.subject_id, epoch=epoch)
    _dispatch_on_commit(operation)
    return operation


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
    overtaken = Operation.objects.filter(locks__subject_id=subject_id, state__in=ACTIVE)
    for other in overtaken.values_list("id", "lease_token"):
        Operation.objects.filter(id=other[0]).update(
            state=State.CANCELLED, error=f"overtaken by {kind}", finished_at=utc_now()
        )
        if other[1] is None:
            ledger.release_subjects(other[0])
    operation = _write(
        kind=kind, subject=subject, project_id=project_id, user_id=user_id, params=params, host=host
    )
    Subject.objects.filter(id=subject_id).update(holder=operation.id)
    epoch = Subject.objects.values_list("epoch", flat=True).get(id=subject_id)
    SubjectLock.objects.create(operation=operation, subject_id=subject_id, epoch=epoch)
    _dispatch_on_commit(operation)
    return operation


def forget_subject(subject_id: UUID) -> None:
    """Remove the subject of a thing that is gone; its operations stay as its history."""
    SubjectLock.objects.filter(subject_id=subject_id).delete()
    Subject.objects.filter(id=subject_id).delete()


def _write(
    *,
    kind: str,
    subject: tuple[str, UUID],
    project_id: str,
    user_id: str,
    params: Mapping[str, Any],
    host: str | None,
) -> Operation:
    flow = workflow.get(kind)
    now = time.time()
    values = dict(params)
    return Operation.objects.create(
        id=uuid.uuid4(),
        kind=kind,
        subject_type=subject[0],
        subject_id=subject[1],
        project_id=project_id,
        user_id=user_id,
        request_id=requestid.current(),
        params=values,
        host=host,
        cursor=route.next_cursor(flow, values, host, 0),
        admitted=admission.has_room(project_id),
        dispatched_at=now,
        deadline=now + flow.deadline_s,
    )


def _make(operation: Operation) -> int:
    subject = Subject(id=operation.subject_id, type=operation.subject_type, holder=operation.id)
    subject.save(force_insert=True)
    return subject.epoch


def _hold(operation: Operation) -> int:
    held = Subject.objects.filter(id=operation.subject_id, holder=None, sharers=0, deleting=False)
    if held.update(holder=operation.id):
        return Subject.objects.values_list("epoch", flat=True).get(id=operation.subject_id)
    if Subject.objects.filter(id=operation.subject_id, deleting=False).exists():
        raise SubjectBusy(operation.subject_type, operation.subject_id)
    raise NotFound(f"{operation.subject_type} {operation.subject_id} could not be found.")


def _dispatch_on_commit(operation: Operation) -> None:
    if operation.admitted:
        transaction.on_commit(lambda: dispatch.publish(operation), robust=True)
