"""Reads: what a caller may see, and what a host must know of a guest's ports."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeVar
from uuid import UUID

from django.db.models import F, Model, Q, QuerySet

from computecloud.config import CONFIG
from computecloud.wire.caller import Caller
from computecloud.wire.errors import NotFound
from networking import metadata_address, names
from networking.errors import (
    NetworkNotFound,
    PortNotFound,
    RbacPolicyNotFound,
    SecurityGroupNotFound,
    SecurityGroupRuleNotFound,
    SubnetNotFound,
)
from networking.facts import AddressPair, FixedIp, NetworkFacts, PortFacts, SubnetFacts
from networking.models import (
    Installation,
    Network,
    Port,
    PortAddress,
    PortGroup,
    RbacPolicy,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)

T = TypeVar("T", bound=Model)


@cache
def tag() -> str:
    """Return what this installation's names on hosts begin with; written once, by whoever asks first.

    It comes from the state folder, so an installation that lost its database recognises what it left on the host.
    """
    row, _ = Installation.objects.get_or_create(pk=1, defaults={"tag": names.tag_of(CONFIG.state_dir)})
    return row.tag


def networks(caller: Caller) -> QuerySet[Network]:
    """Return the networks that the caller may see: its project's, shared and external ones; all for an admin."""
    if caller.is_admin:
        return Network.objects.all()
    given = shared_with(caller.project_id or "", "network", "access_as_shared", "access_as_external")
    seen = Q(project_id=caller.project_id) | Q(shared=True) | Q(external=True) | Q(pk__in=given)
    return Network.objects.filter(seen)


def usable_networks(project_id: str) -> QuerySet[Network]:
    """Return the networks that a project may put ports on: its own and those that are shared with it."""
    given = shared_with(project_id, "network", "access_as_shared")
    return Network.objects.filter(Q(project_id=project_id) | Q(shared=True) | Q(pk__in=given))


def shared_with(project_id: str, object_type: str, *actions: str) -> QuerySet[RbacPolicy, UUID]:
    """Return the ids of what is shared with one project by name."""
    policies = RbacPolicy.objects.filter(object_type=object_type, action__in=actions, target=project_id)
    return policies.values_list("object_id", flat=True)


def subnets(caller: Caller) -> QuerySet[Subnet]:
    """Return the subnets of the caller's project and of shared networks; all for an admin."""
    if caller.is_admin:
        return Subnet.objects.all()
    given = shared_with(caller.project_id or "", "network", "access_as_shared")
    return Subnet.objects.filter(
        Q(network__project_id=caller.project_id) | Q(network__shared=True) | Q(network__in=given)
    )


def ports(caller: Caller) -> QuerySet[Port]:
    """Return the ports of the caller's project; all for an admin."""
    return Port.objects.all() if caller.is_admin else Port.objects.filter(project_id=caller.project_id)


def security_groups(caller: Caller) -> QuerySet[SecurityGroup]:
    """Return the groups of the caller's project and those shared with it; all for an admin."""
    if caller.is_admin:
        return SecurityGroup.objects.all()
    project_id = caller.project_id or ""
    given = RbacPolicy.objects.filter(object_type="security_group", target__in=[project_id, "*"])
    return SecurityGroup.objects.filter(Q(project_id=project_id) | Q(pk__in=given.values("object_id")))


def security_group_rules(caller: Caller) -> QuerySet[SecurityGroupRule]:
    """Return the rules of the groups that the caller may see."""
    if caller.is_admin:
        return SecurityGroupRule.objects.all()
    return SecurityGroupRule.objects.filter(group__in=security_groups(caller).values("pk"))


def rbac_policies(caller: Caller) -> QuerySet[RbacPolicy]:
    """Return the policies that the caller's project has made, or that give it something; all for an admin."""
    if caller.is_admin:
        return RbacPolicy.objects.all()
    return RbacPolicy.objects.filter(Q(project_id=caller.project_id) | Q(target=caller.project_id))


def security_group(caller: Caller, group_id: UUID) -> SecurityGroup:
    """Return one group that the caller may see; raises SecurityGroupNotFound."""
    return _one(security_groups(caller), group_id, SecurityGroupNotFound)


def security_group_rule(caller: Caller, rule_id: UUID) -> SecurityGroupRule:
    """Return one rule that the caller may see; raises SecurityGroupRuleNotFound."""
    return _one(security_group_rules(caller), rule_id, SecurityGroupRuleNotFound)


def rbac_policy(caller: Caller, policy_id: UUID) -> RbacPolicy:
    """Return one policy that the caller may see; raises RbacPolicyNotFound."""
    return _one(rbac_policies(caller), policy_id, RbacPolicyNotFound)


def network(caller: Caller, network_id: UUID) -> Network:
    """Return one network that the caller may see; raises NetworkNotFound."""
    return _one(networks(caller), network_id, NetworkNotFound)


def subnet(caller: Caller, subnet_id: UUID) -> Subnet:
    """Return one subnet that the caller may see, with its network; raises SubnetNotFound."""
    return _one(subnets(caller).select_related("network"), subnet_id, SubnetNotFound)


def port(caller: Caller, port_id: UUID) -> Port:
    """Return one port that the caller may see, with its network; raises PortNotFound."""
    return _one(ports(caller).select_related("network"), port_id, PortNotFound)


def _one(rows: QuerySet[T], pk: UUID, missing: Callable[[UUID], NotFound]) -> T:
    found = rows.filter(pk=pk).first()
    if found is None:
        raise missing(pk)
    return found


def subnets_of(network_ids: Iterable[UUID]) -> dict[UUID, list[Subnet]]:
    """Return the subnets of these networks by network id, oldest first, each with its network; one query."""
    found: dict[UUID, list[Subnet]] = defaultdict(list)
    for row in Subnet.objects.filter(network__in=set(network_ids)).select_related("network"):
        found[row.network_id].append(row)
    return found


def addresses_of(port_ids: Iterable[UUID]) -> dict[UUID, list[PortAddress]]:
    """Return the addresses of these ports by port id, in the order they were given; one query."""
    found: dict[UUID, list[PortAddress]] = defaultdict(list)
    for row in PortAddress.objects.filter(port__in=list(port_ids)):
        found[row.port_id].append(row)
    return found


def groups_of(port_ids: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """Return the ids of these ports' security groups by port id; one query."""
    found: dict[UUID, list[UUID]] = defaultdict(list)
    rows = PortGroup.objects.filter(port__in=list(port_ids)).values_list("port_id", "group_id")
    for port_id, group_id in rows:
        found[port_id].append(group_id)
    return found


def ports_of_instance(instance_id: UUID) -> list[Port]:
    """Return the ports that an instance holds, in the order of its network cards, each with its network."""
    return list(
        Port.objects.filter(instance_id=instance_id).select_related("network").order_by("index", "id")
    )


def bound_ports(host: str) -> list[Port]:
    """Return the ports bound to a host, with their networks; what its wiring should be there for."""
    return list(Port.objects.filter(host=host).select_related("network").order_by("id"))


def holder_at(network_id: UUID, address: str, *, host: str) -> UUID | None:
    """Return the instance whose port has this address on a network, if that port is on the host; one query."""
    at = PortAddress.objects.filter(address=address, subnet__network=network_id, port__network=network_id)
    return at.filter(port__host=host).values_list("port__instance_id", flat=True).first()


def facts_of(instance_id: UUID) -> list[PortFacts]:
    """Return an instance's network cards in order; three queries, however many there are."""
    return _facts(Port.objects.filter(instance_id=instance_id))


def facts_on(host: str) -> list[PortFacts]:
    """Return the ports bound to a host; three queries, however many there are."""
    return _facts(Port.objects.filter(host=host))


def _facts(rows: QuerySet[Port]) -> list[PortFacts]:
    ports: dict[UUID, Port] = {}
    groups: dict[UUID, list[UUID]] = defaultdict(list)
    in_order = rows.select_related("network").order_by("index", "id", "memberships__id")
    for port in in_order.annotate(group=F("memberships__group")):  # a row for each group of a port
        ports[port.id] = port
        if port.group is not None:
            groups[port.id].append(port.group)
    if not ports:
        return []
    by_network = subnets_of(port.network_id for port in ports.values())
    by_port = addresses_of(ports)
    return [
        port_facts(port, by_port[port.id], by_network[port.network_id], groups[port.id])
        for port in ports.values()
    ]


def port_facts(
    port: Port, addresses: list[PortAddress], of_network: list[Subnet], groups: Iterable[UUID]
) -> PortFacts:
    """Return a port's facts from its rows: its addresses, all subnets of its network, and its groups."""
    called = names.network(tag(), port.network_id)
    by_id = {subnet.id: subnet for subnet in of_network}
    own = [by_id[address.subnet_id] for address in addresses]
    return PortFacts(
        port_id=str(port.id),
        network_id=str(port.network_id),
        network_name=port.network.name,
        mac=port.mac,
        fixed_ips=[
            FixedIp(row.address, str(subnet.id), subnet.ip_version, subnet.cidr, subnet.gateway_ip)
            for row, subnet in zip(addresses, own, strict=True)
        ],
        tap=names.tap(tag(), port.id),
        bridge=called.bridge,
        mtu=port.network.mtu,
        made_by_us=port.made_by_instance,
        dns=list(dict.fromkeys(server for subnet in own for server in _dns(subnet))),
        network=network_facts(port.network, of_network),
        tag=port.tag,
        anti_spoofing=port.port_security_enabled,
        groups=[str(group_id) for group_id in groups],
        pairs=[
            AddressPair(pair.get("mac_address") or port.mac, pair["ip_address"])
            for pair in port.allowed_address_pairs
        ],
        admin_up=port.admin_state_up and port.network.admin_state_up,
    )


def network_facts(network: Network, of_network: list[Subnet]) -> NetworkFacts:
    """Return what a host must know of a network."""
    called = names.network(tag(), network.id)
    return NetworkFacts(
        id=str(network.id),
        tag=tag(),
        bridge=called.bridge,
        veth=called.veth,
        namespace=called.namespace,
        external=network.external,
        mtu=network.mtu,
        subnets=[
            SubnetFacts(
                id=str(subnet.id),
                version=subnet.ip_version,
                cidr=subnet.cidr,
                gateway=subnet.gateway_ip,
                dhcp_address=subnet.dhcp_address,
                dns=_dns(subnet),
                routes=_routes(subnet, network),
                ra_mode=subnet.ipv6_ra_mode if subnet.enable_dhcp else None,
            )
            for subnet in of_network
        ],
        vni=network.vni,
        wire=called.wire,
        metadata_ip=metadata_address.ADDRESS,
    )


def _routes(subnet: Subnet, network: Network) -> list[dict[str, str]]:
    """Return the routes that a subnet's guests are told: its owner's, and the way to the metadata service."""
    if subnet.ip_version != 4:
        return list(subnet.host_routes)
    return metadata_address.routes(
        subnet.host_routes,
        dhcp_address=subnet.dhcp_address,
        gateway_in_namespace=subnet.gateway_ip is not None and not network.external,
    )


def _dns(subnet: Subnet) -> list[str]:
    """Return the name servers of a subnet, or those of the settings that speak its IP version."""
    if subnet.dns_nameservers:
        return list(subnet.dns_nameservers)
    configured = [server.strip() for server in CONFIG.dns_servers.split(",") if server.strip()]
    return [server for server in configured if (":" in server) == (subnet.ip_version == 6)]
