"""Which hosts take new guests, as their operators want it."""

import structlog
from django.db.models import QuerySet

from computecloud.wire.errors import InvalidInput, NotFound
from workers.models import Host

log = structlog.get_logger()

REASON_MAX = 255


def find(name: str) -> Host:
    """Return the host of this name; raises NotFound."""
    found = Host.objects.filter(name=name).first()
    if found is None:
        raise NotFound(f"Host {name} could not be found.")
    return found


def enable(*, name: str) -> Host:
    """Have a host take new guests again; the reason why it did not goes. Raises NotFound."""
    _change(Host.objects.filter(name=name), name, enabled=True, disabled_reason="")
    log.info("host.enabled", host=name)
    return find(name)


def disable(*, name: str, reason: str) -> Host:
    """Have a host take no new guests, those that it has go on; raises NotFound, InvalidInput for a bad reason."""
    if not reason.strip() or len(reason) > REASON_MAX or not reason.isprintable():
        raise InvalidInput(f"Give a reason of 1 to {REASON_MAX} printable characters.")
    _change(Host.objects.filter(name=name), name, enabled=False, disabled_reason=reason)
    log.info("host.disabled", host=name, reason=reason)
    return find(name)


def _change(rows: QuerySet[Host], name: str, **values: object) -> None:
    if not rows.update(**values):
        raise NotFound(f"Host {name} could not be found.")


def force_down(*, name: str, reason: str) -> Host:
    """Have a host count as down and take no new guests: an operator knows that it is off. Raises as disable does."""
    disable(name=name, reason=reason)
    _change(Host.objects.filter(name=name), name, forced_down=True, alive=False)
    log.warning("host.forced_down", host=name, reason=reason)
    return find(name)


def let_up(*, name: str) -> Host:
    """Have a host that was forced down count again as its heartbeat says; raises NotFound."""
    _change(Host.objects.filter(name=name), name, forced_down=False)
    log.info("host.let_up", host=name)
    return find(name)
