"""A server's metadata: written by compare-and-set on what was there, so that two writers lose no key."""

from collections.abc import Callable, Mapping
from uuid import UUID

from django.utils import timezone

from computecloud.wire.errors import NotFound, QuotaExceeded
from identity.caller import Caller
from instances import transitions
from instances.models import Instance
from instances.services.servers import refuse_locked

MAX_ITEMS = 128


def check_count(count: int) -> None:
    """Raise QuotaExceeded where a server would have too many items."""
    if count > MAX_ITEMS:
        raise QuotaExceeded(f"Maximum number of metadata items exceeds {MAX_ITEMS}")


def put(caller: Caller, instance: Instance, items: Mapping[str, str], *, replace: bool) -> dict[str, str]:
    """Add these items, or have only them; returns what is there now. Raises QuotaExceeded, WrongState, Locked."""
    return _write(caller, instance, lambda before: dict(items) if replace else {**before, **items})


def remove(caller: Caller, instance: Instance, key: str) -> None:
    """Remove one item; raises NotFound, WrongState, Locked."""

    def without(before: Mapping[str, str]) -> dict[str, str]:
        if key not in before:
            raise NotFound("Metadata item was not found")
        return {name: value for name, value in before.items() if name != key}

    _write(caller, instance, without)


def _write(
    caller: Caller, instance: Instance, change: Callable[[Mapping[str, str]], dict[str, str]]
) -> dict[str, str]:
    refuse_locked(caller, instance)
    before = instance.metadata
    while True:
        after = change(before)
        check_count(len(after))
        if _swap(instance.id, before, after):
            return after
        now = Instance.objects.values_list("metadata", flat=True).get(id=instance.id)
        if now == before:
            raise transitions.refusal("metadata", instance.id)
        before = now


def _swap(instance_id: UUID, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    row = transitions.allowing("metadata", instance_id).filter(metadata=before)
    return bool(row.update(metadata=after, updated_at=timezone.now()))
