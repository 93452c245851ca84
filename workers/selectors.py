"""Reads operations for people: who may see which, lists by what they are up to, and how far each is."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q

from computecloud.wire.caller import Caller
from computecloud.wire.errors import InvalidInput, NotFound
from workers import history, waiting, workflow
from workers.history import Past
from workers.models import ACTIVE, IS_ACTIVE, Operation, State, Subject
from workers.waiting import Waiting


class Group(enum.StrEnum):
    """What operations of a list are up to; waiting ones are active too."""

    ALL = "all"
    ACTIVE = "active"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which operations a list is to have; what is None is not asked about."""

    group: Group = Group.ALL
    project_id: str | None = None
    subject_id: UUID | None = None
    host: str | None = None
    kind: str | None = None
    marker: UUID | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """An operation, why it waits, if it does, and whether its subject is still there."""

    operation: Past
    waiting: Waiting | None
    has_subject: bool


def operations(wanted: Wanted) -> list[Listed]:
    """Return the newest operations that are wanted, with why they wait; as many queries for any number.

    Raises InvalidInput where there is no operation that the marker names.
    """
    named = {"project_id": wanted.project_id, "subject_id": wanted.subject_id}
    named |= {"host": wanted.host, "kind": wanted.kind}
    where = Q(**{name: value for name, value in named.items() if value is not None})
    if wanted.marker is not None:
        marker = history.find(where & Q(id=wanted.marker))
        if marker is None:
            raise InvalidInput(f"marker [{wanted.marker}] not found")
        where &= history.after(marker)
    return told(_found(where, wanted))


def told(found: Sequence[Past]) -> list[Listed]:
    """Return operations with why they wait, and whether their subjects are still there."""
    reasons = waiting.of_many(one for one in found if isinstance(one, Operation))
    there = set(Subject.objects.filter(id__in={one.subject_id for one in found}).values_list("id", flat=True))
    return [Listed(one, reasons.get(one.id), one.subject_id in there) for one in found]


def operation(operation_id: str, caller: Caller) -> Past:
    """Return an operation that the caller may see; raises NotFound, also for another tenant's."""
    try:
        where = Q(id=UUID(operation_id))
    except ValueError:
        where = Q(pk__in=[])
    if not caller.is_admin:
        where &= Q(project_id=caller.project_id)
    found = history.find(where)
    if found is None:
        raise NotFound(f"Operation {operation_id[:64]} could not be found.")
    return found


def step_of(one: Past) -> str | None:
    """Return the name of the step that is next, or running; None where the operation has ended, or finishes."""
    if not isinstance(one, Operation) or one.state not in ACTIVE:
        return None
    flow = workflow.find(one.kind)
    if flow is None or not 0 <= one.cursor < len(flow.steps):
        return None
    name = flow.steps[one.cursor].name
    return f"undo {name}" if one.state == State.UNDOING else name


def _found(where: Q, wanted: Wanted) -> list[Past]:
    if wanted.group is Group.ALL:
        return history.latest(where, limit=wanted.limit)
    if wanted.group in (Group.ACTIVE, Group.WAITING):
        active: Any = Operation.objects.filter(where).filter(IS_ACTIVE).order_by("-created_at", "-id")
        if wanted.group is Group.WAITING:
            active = active.filter(lease_token=None)
        return list(active[: wanted.limit])
    return history.ended(where & Q(state=wanted.group.value), limit=wanted.limit)
