"""A server's metadata."""

from collections.abc import Mapping

from computecloud.wire.errors import NotFound, QuotaExceeded
from identity.caller import Caller
from instances.models import Instance
from instances.services import documents
from instances.services.servers import refuse_locked

MAX_ITEMS = 128

Items = Mapping[str, str]


def check_count(count: int) -> None:
    """Raise QuotaExceeded where a server would have too many items."""
    if count > MAX_ITEMS:
        raise QuotaExceeded(f"Maximum number of metadata items exceeds {MAX_ITEMS}")


def put(caller: Caller, instance: Instance, items: Items, *, replace: bool) -> Items:
    """Add these items, or have only them; returns what is there now. Raises QuotaExceeded, WrongState, Locked."""

    def added(before: Items) -> Items:
        after = dict(items) if replace else {**before, **items}
        check_count(len(after))
        return after

    refuse_locked(caller, instance)
    return documents.change(instance, "metadata", "metadata", added)


def remove(caller: Caller, instance: Instance, key: str) -> None:
    """Remove one item; raises NotFound, WrongState, Locked."""

    def without(before: Items) -> Items:
        if key not in before:
            raise NotFound("Metadata item was not found")
        return {name: value for name, value in before.items() if name != key}

    refuse_locked(caller, instance)
    documents.change(instance, "metadata", "metadata", without)
