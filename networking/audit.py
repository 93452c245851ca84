"""Mending a host's wiring while its worker runs: after the host restarted, or when something else took it apart."""

from collections import defaultdict
from uuid import UUID

import structlog
from django.db.models import F

from computecloud.config import CONFIG
from networking import names, selectors, wiring
from networking.models import HostWiring, Port, PortStatus
from networking.services import spreading
from networking.wiring import Thing
from networking.wiring.commands import WiringFailed
from workers.models import Finding, Host, Subject

log = structlog.get_logger()


def mend_taken(host: Host) -> None:
    """Mend at once when a worker takes the host, and follow all that has changed: the machine may have been down."""
    if wiring.wires():
        spreading.host_is_at(host.name, CONFIG.underlay_ip)
    mend(host.name)
    follow(host.name)


def follow(host: str) -> None:
    """Have the host's ports as they are to be by now, where something has changed; the next echo tries again."""
    row = HostWiring.objects.filter(host=host).exclude(done=F("wanted")).first()
    if row is None or not wiring.wires():
        return
    try:
        all_here = wiring.follow(host)
    except WiringFailed as error:
        log.warning("wiring.not_followed", host=host, error=error.message)
        return
    if all_here:
        HostWiring.objects.filter(host=host).update(done=row.wanted)
        log.info("wiring.followed", host=host, change=row.wanted)


def mend(host: str) -> None:
    """Wire the host's idle instances again that lack something, and note it; what fails is tried again later."""
    if not wiring.wires():
        return
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

    Tap devices do not count, for the guest may be switched off; nor does the wire to other hosts: there may be none.
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
        needed = wiring.wanted(tag, [(port_id, network_id)]) - {
            Thing("link", names.tap(tag, port_id)),
            Thing("link", names.network(tag, network_id).wire),
        }
        if instance_id is not None and not needed <= present:
            lacking[instance_id] |= needed - present
    return dict(lacking)


def rewire(instance_id: UUID) -> None:
    """Have the instance's wiring on this host; raises WiringFailed."""
    wiring.connect(selectors.facts_of(instance_id))
