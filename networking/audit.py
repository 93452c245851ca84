"""Mending a host's wiring while its worker runs: after the host restarted, or when something else took it apart."""

import time
from collections import defaultdict
from uuid import UUID

import structlog

from networking import names, selectors, wiring
from networking.models import Port, PortStatus
from networking.wiring import Thing
from networking.wiring.commands import WiringFailed
from workers.models import Finding, Host, Subject

log = structlog.get_logger()

EVERY_S = 30.0
_audited_s: dict[str, float] = {}


def mend_taken(host: Host) -> None:
    """Finding at once when a worker takes the host; the machine may have been restarted."""
    mend(host.name)


def mend_if_due(host: str) -> None:
    """Finding where the last look is EVERY_S old; called by each echo."""
    if time.monotonic() - _audited_s.get(host, -EVERY_S) >= EVERY_S:
        mend(host)


def mend(host: str) -> None:
    """Wire the host's idle instances again that lack something, and note it; what fails is tried again later."""
    if not wiring.wires():
        return
    _audited_s[host] = time.monotonic()
    try:
        for instance_id, things in missing(host).items():
            rewire(instance_id)
            what = ", ".join(sorted(f"{thing.kind} {thing.name}" for thing in things))
            Finding.objects.create(
                audit="wiring", subject=str(instance_id), what=f"made again on {host}: {what}"
            )
    except WiringFailed as error:
        log.warning("wiring.mend_failed", host=host, error=error.message)


def missing(host: str) -> dict[UUID, set[Thing]]:
    """Return what the ACTIVE ports of idle instances lack on this host, by instance; raises WiringFailed.

    Tap devices do not count: the guest may be switched off.
    """
    idle = Subject.objects.filter(holder=None, sharers=0, deleting=False).values("id")
    ports = Port.objects.filter(host=host, status=PortStatus.ACTIVE, instance_id__in=idle)
    rows = list(ports.values_list("instance_id", "id", "network_id"))
    if not rows:
        return {}
    tag = selectors.tag()
    present = set(wiring.present(tag))
    lacking: dict[UUID, set[Thing]] = defaultdict(set)
    for instance_id, port_id, network_id in rows:
        needed = wiring.wanted(tag, [(port_id, network_id)]) - {Thing("link", names.tap(tag, port_id))}
        if instance_id is not None and not needed <= present:
            lacking[instance_id] |= needed - present
    return dict(lacking)


def rewire(instance_id: UUID) -> None:
    """Have the instance's wiring on this host; raises WiringFailed."""
    wiring.connect(selectors.facts_of(instance_id))
