"""Telling hosts that something of theirs has changed: a row says so, and a message only rings.

A host reads what it must be like from the database when it is rung, when its echo comes by, and when its worker takes
it; so a host that was down follows when it is back, and a message that is lost costs ten seconds. Changes that come
close together are followed at once. The row is written in the change's own transaction; hosts are rung after its
commit, and looked for once more then: a port that was bound meanwhile read what was before.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from networking.models import HostWiring, Port, PortGroup
from workers import ringing

EVENT = "wiring.changed"


def rules_changed(group_ids: Iterable[UUID]) -> None:
    """Tell the hosts that have ports in these groups."""
    _tell(Q(groups__in=list(group_ids)))


def members_changed(group_ids: Iterable[UUID], *, but: str = "") -> None:
    """Tell the hosts, but one, that have ports in a group with a rule that names one of these."""
    naming = PortGroup.objects.filter(group__rules__remote_group__in=list(group_ids))
    _tell(Q(pk__in=naming.values("port")), but=but)


def network_changed(network_ids: Iterable[UUID], *, but: str = "") -> None:
    """Tell the hosts, but one, that have ports on these networks."""
    _tell(Q(network__in=list(network_ids)), but=but)


def port_changed(port: Port, group_ids: Iterable[UUID] = ()) -> None:
    """Tell the port's host, and those whose rules name a group that it has or had."""
    if port.host:
        _tell(Q(pk=port.pk))
    members_changed(group_ids, but=port.host)


def host_is_at(host: str, underlay_ip: str) -> None:
    """Note a host with its place on the wire, and have it look at all that is its; others are told of a new place."""
    row, is_new = HostWiring.objects.get_or_create(host=host, defaults={"underlay_ip": underlay_ip})
    rows = HostWiring.objects.filter(host=host)
    rows.update(underlay_ip=underlay_ip, wanted=F("wanted") + 1)
    if not is_new and row.underlay_ip != underlay_ip:
        networks = Port.objects.filter(host=host).values_list("network_id", flat=True).distinct()
        network_changed(list(networks), but=host)


def forget(host: str) -> None:
    """Remove the row of a host that is no more; it has no ports."""
    HostWiring.objects.filter(host=host).delete()


def wired(instance_id: UUID) -> None:
    """Tell other hosts of an instance's ports: whose rules name their groups, and a network's where it is new here.

    To be called when the ports have long been written: whoever reads after that knows them already, so once is enough.
    """
    ports = Port.objects.filter(instance_id=instance_id)
    naming = PortGroup.objects.filter(group__rules__remote_group__memberships__port__in=ports)
    elder = Port.objects.filter(network=OuterRef("network"), host=OuterRef("host")).exclude(
        instance_id=instance_id
    )
    joined = ports.filter(~Exists(elder)).values("network")
    which = Q(pk__in=naming.values("port")) | Q(network__in=joined)
    hosts = _hosts(which & ~Q(instance_id=instance_id), "")
    if hosts.exclude(host__in=ports.values("host")).update(wanted=F("wanted") + 1):
        transaction.on_commit(lambda: _ring_again(which), robust=True)


def unwired(ports: QuerySet[Port]) -> None:
    """Tell hosts that these ports of an instance are about to go; call it before they do.

    Their own host has taken them away, but its other ports' rules may name them, and were read while they were there.
    """
    rows = list(ports.values_list("id", "network_id", "host"))
    groups = set(PortGroup.objects.filter(port__in=ports).values_list("group_id", flat=True))
    if rows:
        naming = PortGroup.objects.filter(group__rules__remote_group__in=groups)
        _tell(Q(pk__in=naming.values("port")) & ~Q(pk__in=[port_id for port_id, _, _ in rows]))
        network_changed({network_id for _, network_id, _ in rows}, but=rows[0][2])


def _ring_again(which: Q) -> None:
    for host in _hosts(which, "").filter(done__lt=F("wanted")).values_list("host", flat=True):
        ringing.ring(host, EVENT)


def _tell(which: Q, *, but: str = "") -> None:
    hosts = _hosts(which, but)
    hosts.update(wanted=F("wanted") + 1)
    transaction.on_commit(lambda: _ring(which, but), robust=True)


def _ring(which: Q, but: str) -> None:
    hosts = _hosts(which, but)
    hosts.update(wanted=F("wanted") + 1)
    for host in hosts.values_list("host", flat=True):
        ringing.ring(host, EVENT)


def _hosts(which: Q, but: str) -> QuerySet[HostWiring]:
    bound = Port.objects.filter(which).exclude(host__in={"", but}).values("host")
    return HostWiring.objects.filter(host__in=bound)
