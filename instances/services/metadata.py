"""A server's metadata."""

from collections.abc import Mapping

import quotas.services
from computecloud.wire.errors import NotFound
from identity.caller import Caller
from instances.models import Instance
from instances.services import documents
from instances.services.servers import refuse_locked

Items = Mapping[str, str]


def put(caller: Caller, instance: Instance, items: Items, *, replace: bool) -> Items:
    """Add these items, or have only them; returns what is there now. Raises QuotaExceeded, WrongState, Locked."""

    def added(before: Items) -> Items:
        after = dict(items) if replace else {**before, **items}
        quotas.services.check_metadata(instance.project_id, len(after))
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
