"""The only place that writes an image's status, by compare-and-set against the table in images.states."""

from datetime import datetime
from typing import Any
from uuid import UUID

from computecloud.wire.errors import Conflict, NotFound
from images.models import Image
from images.states import MOVES, Action, Status


class WrongStatus(Conflict):
    """The image's status does not allow the action."""


def move(action: Action, image_id: UUID, *, now: datetime, **facts: Any) -> None:
    """Take the action's status and note facts with it; raises WrongStatus, NotFound for a deleted image."""
    row = MOVES[action]
    changed = Image.objects.filter(id=image_id, status__in=row.allowed).update(
        status=row.done, updated_at=now, **facts
    )
    if changed:
        return
    status = Image.objects.filter(id=image_id).values_list("status", flat=True).first()
    if status in (None, Status.DELETED):
        raise NotFound(f"No image found with ID {image_id}")
    raise WrongStatus(
        f"Image {image_id} is {status}; {action.replace('_', ' ')} needs {_either(row.allowed)}."
    )


def _either(statuses: frozenset[Status]) -> str:
    return " or ".join(sorted(statuses))
