"""Changes to a JSON column of a server, by compare-and-set on what was there, so that two writers lose nothing."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.utils import timezone

from instances import transitions
from instances.models import Instance

T = TypeVar("T")


def change(instance: Instance, column: str, action: str, made: Callable[[T], T]) -> T:
    """Have the column hold what `made` makes of its value, called again where another writer was first; returns that.

    action: the line of the state table that must allow it. Raises WrongState, NotFound, and what `made` raises.
    """
    before: Any = getattr(instance, column)
    while True:
        after = made(before)
        row = transitions.allowing(action, instance.id).filter(**{column: before})
        if row.update(**{column: after, "updated_at": timezone.now()}):
            return after
        now = Instance.objects.values_list(column, flat=True).get(id=instance.id)
        if now == before:
            raise transitions.refusal(action, instance.id)
        before = now
