"""What must be true of ports, their addresses, and the wiring of this host."""

from collections.abc import Iterator
from functools import partial

from django.db.models import F

from computecloud.config import CONFIG
from networking import audit, metadata_address, selectors, services, wiring
from networking.models import Port, PortAddress, Subnet
from networking.wiring import namespaces
from workers import audits
from workers.invariants import Violation, register
from workers.models import Subject

METADATA_TIMEOUT_S = 2.0


def ports_of_the_gone() -> Iterator[Violation]:
    """Yield the ports that are held by an instance that is no more."""
    held = Port.objects.exclude(instance_id=None).exclude(instance_id__in=Subject.objects.values("id"))
    for port in held:
        if port.instance_id is not None:
            yield Violation(
                f"port {port.id} is held by instance {port.instance_id}, which is gone",
                fix=partial(services.unbind, port.instance_id),
            )


def misplaced_addresses() -> Iterator[Violation]:
    """Yield the addresses that a port has of another network's subnet."""
    wrong = PortAddress.objects.exclude(subnet__network=F("port__network"))
    for address, port_id in wrong.values_list("address", "port_id"):
        yield Violation(
            f"port {port_id} has the address {address} of another network", f"openstack port delete {port_id}"
        )


def subnets_without_dhcp() -> Iterator[Violation]:
    """Yield the subnets that promise DHCP and have no address for it, or the other way round."""
    for subnet in Subnet.objects.filter(ip_version=4):
        if subnet.enable_dhcp != (subnet.dhcp_address is not None):
            yield Violation(
                f"subnet {subnet.id} says enable_dhcp={subnet.enable_dhcp} and has the address {subnet.dhcp_address}",
                f"openstack subnet set --no-dhcp {subnet.id}, then --dhcp",
            )


def left_on_host() -> Iterator[Violation]:
    """Yield what of ours is on this host though no port here needs it."""
    if not wiring.wires():
        return
    tag = selectors.tag()
    bound = [(port.id, port.network_id) for port in selectors.bound_ports(CONFIG.host)]
    wanted = wiring.wanted(tag, bound)
    for thing in wiring.present(tag):
        if thing not in wanted:
            yield Violation(
                f"{thing.kind} {thing.name} is on host {CONFIG.host}, and no port bound here needs it",
                fix=partial(wiring.remove, tag, [thing]),
            )


def missing_on_host() -> Iterator[Violation]:
    """Yield the instances of this host whose ports are ACTIVE though some of their wiring is not there.

    Those that an operation is at work on are left alone: it may be taking them apart.
    """
    if not wiring.wires():
        return
    for instance_id, things in audit.missing(CONFIG.host).items():
        named = ", ".join(sorted(f"{thing.kind} {thing.name}" for thing in things))
        yield Violation(
            f"instance {instance_id} lacks on host {CONFIG.host}: {named}",
            fix=partial(audit.rewire, instance_id),
        )


def unanswered_networks() -> Iterator[Violation]:
    """Yield the networks of this host in whose namespace nobody answers guests that ask for their metadata."""
    if not wiring.wires():
        return
    for home in namespaces.present(selectors.tag()).values():
        try:
            if _is_answered(home):
                continue
        except OSError:
            continue  # the namespace went meanwhile
        yield Violation(
            f"guests of network {home.network_id} on host {CONFIG.host} get no answer from the metadata service",
            "start `computecloud metadata` on this host; bin/up does",
        )


def _is_answered(home: namespaces.Home) -> bool:
    return namespaces.answers(
        home, metadata_address.ADDRESS, metadata_address.PORT, timeout_s=METADATA_TIMEOUT_S
    )


register("ports are held by instances that exist", ports_of_the_gone)
register("addresses belong to their port's network", misplaced_addresses)
register("subnets have an address for the DHCP that they promise", subnets_without_dhcp)
register("this host has no wiring but for ports bound here", left_on_host)
register("this host has all the wiring of its active ports", missing_on_host)
register("this host's networks have their metadata service", unanswered_networks)
audits.register(
    audits.Audit(
        "wiring",
        "each host has the wiring of its active ports",
        30,
        lambda _host: missing_on_host(),
        on_host=True,
    )
)
