"""Accepts operations: the row that cannot be lost, written in the caller's own transaction."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from computecloud.wire import requestid
from computecloud.wire.errors import Conflict, NotFound
from workers import admission, clock, dispatch, route, sql, workflow
from workers.models import Operation, Subject, SubjectLock


class SubjectBusy(Conflict):
    """Another operation holds the subject."""


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
    operation = write(
        kind=kind, subject=subject, project_id=project_id, user_id=user_id, params=params, host=host
    )
    epoch = _make(operation) if workflow.get(kind).makes_subject else _hold(operation)
    sql.insert([SubjectLock(operation=operation, subject_id=operation.subject_id, epoch=epoch)])
    dispatch_on_commit(operation)
    return operation


def write(
    *,
    kind: str,
    subject: tuple[str, UUID],
    project_id: str,
    user_id: str,
    params: Mapping[str, Any],
    host: str | None,
) -> Operation:
    """Write the operation, at the first step that it has, admitted if its tenant has room in the queues."""
    flow = workflow.get(kind)
    now = clock.now()
    values = dict(params)
    operation = Operation(
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
        deadline=now + flow.forward_s(values),
    )
    sql.insert([operation])
    return operation


def _make(operation: Operation) -> int:
    subject = Subject(id=operation.subject_id, type=operation.subject_type, holder=operation.id)
    sql.insert([subject])
    return subject.epoch


def _hold(operation: Operation) -> int:
    held = Subject.objects.filter(id=operation.subject_id, holder=None, sharers=0, deleting=False)
    if held.update(holder=operation.id):
        return Subject.objects.values_list("epoch", flat=True).get(id=operation.subject_id)
    if Subject.objects.filter(id=operation.subject_id, deleting=False).exists():
        raise SubjectBusy(
            f"Another operation is under way on {operation.subject_type} {operation.subject_id}."
        )
    raise NotFound(f"{operation.subject_type} {operation.subject_id} could not be found.")


def dispatch_on_commit(operation: Operation) -> None:
    """Publish the operation's first segment once the caller's transaction has committed."""
    if operation.admitted:
        transaction.on_commit(lambda: dispatch.publish_accepted(operation), robust=True)
