"""Which hosts take new guests, as their operators want it, and what is counted of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from django.db.models import Count, Q

from computecloud.wire.errors import Conflict, InvalidInput, NotFound
from workers.models import IS_ACTIVE, Footprint, Host, Operation

log = structlog.get_logger()

REASON_MAX = 255
# A path of a machine's, as in what libvirt says; what a guest calls its devices is nobody's secret.
_FILE = re.compile(r"(?<![\w:/.])/(?!dev/)[\w.+@:-]+(?:/[\w.+@:-]+)+")


@dataclass(slots=True)
class Counts:
    """What is counted of a host: nodes that it reports, operations that are active on it, its footprints."""

    nodes: int = 0
    active: int = 0
    footprints: int = 0


def counts(names: Iterable[str]) -> dict[str, Counts]:
    """Return the counts of hosts by name; three queries for any number of them."""
    found = {name: Counts() for name in names}
    here = Host.objects.filter(name__in=found).order_by()
    for name, count in here.annotate(n=Count("nodes", filter=Q(nodes__present=True))).values_list(
        "name", "n"
    ):
        found[name].nodes = count
    active = Operation.objects.filter(IS_ACTIVE, host__in=found).order_by().values("host")
    for host, count in active.annotate(n=Count("id")).values_list("host", "n"):
        found[str(host)].active = count
    footprints = Footprint.objects.filter(host__in=found).order_by().values("host")
    for name, count in footprints.annotate(n=Count("id")).values_list("host", "n"):
        found[name].footprints = count
    return found


def find(name: str) -> Host:
    """Return the host of this name; raises NotFound."""
    found = Host.objects.filter(name=name).first()
    if found is None:
        raise NotFound(f"Host {name} could not be found.")
    return found


def enable(*, name: str) -> Host:
    """Have a host take new guests again; the reason why it did not goes. Raises NotFound."""
    host = _changed(name, enabled=True, disabled_reason="")
    log.info("host.enabled", host=name)
    return host


def disable(*, name: str, reason: str | None) -> Host:
    """Have a host take no new guests, those that it has go on; the Compute API may be given no reason.

    Raises NotFound, InvalidInput for a bad reason.
    """
    if reason is not None and (not reason.strip() or len(reason) > REASON_MAX or not reason.isprintable()):
        raise InvalidInput(f"Give a reason of 1 to {REASON_MAX} printable characters.")
    host = _changed(name, enabled=False, disabled_reason=reason or "")
    log.info("host.disabled", host=name, reason=reason)
    return host


def _changed(name: str, **values: object) -> Host:
    Host.objects.filter(name=name).update(**values)
    return find(name)


def force_down(*, name: str, reason: str | None = None) -> Host:
    """Have a host count as down: an operator, or a program that fences, knows that it is off.

    With a reason it takes no new guests either when it is let up again. Raises as disable does.
    """
    if reason is not None:
        disable(name=name, reason=reason)
    host = _changed(name, forced_down=True, alive=False)
    log.warning("host.forced_down", host=name, reason=reason)
    return host


def let_up(*, name: str) -> Host:
    """Have a host that was forced down count again as its heartbeat says; raises NotFound."""
    host = _changed(name, forced_down=False)
    log.info("host.let_up", host=name)
    return host


def remove(*, name: str) -> None:
    """Forget a host that is down, and what is left to clean up there; its nodes are gone before. In a transaction.

    Raises Conflict where it is up: its worker would go on without it.
    """
    removed, _ = Host.objects.filter(name=name).exclude(alive=True, forced_down=False).delete()
    if not removed:
        raise Conflict(f"Host {name} is up. Stop its worker, and wait until it counts as down.")
    Footprint.objects.filter(host=name).delete()


def unnamed(words: str) -> str:
    """Return an operation's reason as its tenant may read it: without hosts' names, queues and files."""
    words = _FILE.sub("a file of its host", words)
    if "host" not in words:
        return words
    names = sorted(Host.objects.values_list("name", flat=True), key=len, reverse=True)
    name = "|".join(re.escape(one) for one in names) or "(?!)"
    words = re.sub(rf"\bqueue host\.(?:{name})(?:\.slow)?(?![\w-])", "the queue of its host", words)
    return re.sub(rf"\bhost (?:{name})(?![\w-])", "its host", words)
