"""Reads what a host must know beside its ports: their groups' rules, the members that rules name, and other hosts."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from networking import protocols
from networking.facts import PortFacts, RuleFacts, Surroundings
from networking.models import Direction, HostWiring, Port, PortAddress, SecurityGroupRule


def of(ports: Iterable[PortFacts], host: str) -> Surroundings:
    """Return what surrounds these ports of a host: four queries at most, none for what they do not have."""
    known = list(ports)
    groups = _rules({group for port in known for group in port.groups})
    named = {rule.group for rules in groups.values() for rule in rules if rule.group is not None}
    return Surroundings(
        groups=groups, members=_members(named), peers=_peers({port.network_id for port in known}, host)
    )


def _rules(group_ids: set[str]) -> dict[str, list[RuleFacts]]:
    found: dict[str, list[RuleFacts]] = {group_id: [] for group_id in sorted(group_ids)}
    if not group_ids:
        return found
    rows = SecurityGroupRule.objects.filter(group__in=[UUID(group_id) for group_id in group_ids])
    for rule in rows:
        found[str(rule.group_id)].append(
            RuleFacts(
                ingress=rule.direction == Direction.INGRESS,
                version=rule.ip_version,
                protocol=protocols.number(rule.protocol, rule.ip_version),
                low=rule.port_min,
                high=rule.port_max,
                prefix=rule.normalized_prefix,
                group=str(rule.remote_group_id) if rule.remote_group_id else None,
            )
        )
    return found


def _members(group_ids: set[str]) -> dict[str, list[str]]:
    """Return the addresses of all ports that have these groups, and the ranges that they may use beside them."""
    found: dict[str, set[str]] = {group_id: set() for group_id in sorted(group_ids)}
    if not group_ids:
        return {}
    asked = [UUID(group_id) for group_id in group_ids]
    rows = PortAddress.objects.filter(port__groups__in=asked).order_by()
    for group_id, address in rows.values_list("port__groups", "address"):
        if str(group_id) in found:
            found[str(group_id)].add(address)
    paired = Port.objects.filter(groups__in=asked).exclude(allowed_address_pairs=[]).order_by()
    for group_id, pairs in paired.values_list("groups", "allowed_address_pairs"):
        if str(group_id) in found:
            found[str(group_id)] |= {pair["ip_address"] for pair in pairs}
    return {group_id: sorted(addresses) for group_id, addresses in found.items()}


def _peers(network_ids: set[str], host: str) -> dict[str, list[str]]:
    """Return where the other hosts are that have ports of these networks."""
    asked = [UUID(network_id) for network_id in network_ids]
    others = HostWiring.objects.exclude(host=host).exclude(underlay_ip="")
    hosts = dict(others.values_list("host", "underlay_ip")) if asked else {}
    if not hosts:
        return {}
    found: dict[str, set[str]] = defaultdict(set)
    rows = Port.objects.filter(network__in=asked).exclude(host="").order_by()
    for network_id, name in rows.values_list("network_id", "host").distinct():
        if name in hosts:
            found[str(network_id)].add(hosts[name])
    return {network_id: sorted(addresses) for network_id, addresses in found.items()}
