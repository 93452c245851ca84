"""Reads: what a caller may see, and what a host must know of a guest's ports."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from uuid import UUID

from django.db.models import Q, QuerySet

from computecloud.config import CONFIG
from computecloud.wire.caller import Caller
from networking import names
from networking.errors import NetworkNotFound, PortNotFound, SubnetNotFound
from networking.facts import FixedIp, NetworkFacts, PortFacts, SubnetFacts
from networking.models import Installation, Network, Port, PortAddress, Subnet


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
    return Network.objects.filter(Q(project_id=caller.project_id) | Q(shared=True) | Q(external=True))


def subnets(caller: Caller) -> QuerySet[Subnet]:
    """Return the subnets of the caller's project and of shared networks; all for an admin."""
    if caller.is_admin:
        return Subnet.objects.all()
    return Subnet.objects.filter(Q(network__project_id=caller.project_id) | Q(network__shared=True))


def ports(caller: Caller) -> QuerySet[Port]:
    """Return the ports of the caller's project; all for an admin."""
    return Port.objects.all() if caller.is_admin else Port.objects.filter(project_id=caller.project_id)


def network(caller: Caller, network_id: UUID) -> Network:
    """Return one network that the caller may see; raises NetworkNotFound."""
    found = networks(caller).filter(pk=network_id).first()
    if found is None:
        raise NetworkNotFound(network_id)
    return found


def subnet(caller: Caller, subnet_id: UUID) -> Subnet:
    """Return one subnet that the caller may see, with its network; raises SubnetNotFound."""
    found = subnets(caller).select_related("network").filter(pk=subnet_id).first()
    if found is None:
        raise SubnetNotFound(subnet_id)
    return found


def port(caller: Caller, port_id: UUID) -> Port:
    """Return one port that the caller may see, with its network; raises PortNotFound."""
    found = ports(caller).select_related("network").filter(pk=port_id).first()
    if found is None:
        raise PortNotFound(port_id)
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


def ports_of_instance(instance_id: UUID) -> list[Port]:
    """Return the ports that an instance holds, in the order of its network cards, each with its network."""
    return list(
        Port.objects.filter(instance_id=instance_id).select_related("network").order_by("index", "id")
    )


def bound_ports(host: str) -> list[Port]:
    """Return the ports bound to a host; what its wiring should be there for."""
    return list(Port.objects.filter(host=host).order_by("id"))


def facts_of(instance_id: UUID) -> list[PortFacts]:
    """Return an instance's network cards in order; three queries, however many there are."""
    held = ports_of_instance(instance_id)
    if not held:
        return []
    by_network = subnets_of(port.network_id for port in held)
    by_port = addresses_of(port.id for port in held)
    return [port_facts(port, by_port[port.id], by_network[port.network_id]) for port in held]


def port_facts(port: Port, addresses: list[PortAddress], of_network: list[Subnet]) -> PortFacts:
    """Return a port's facts from its rows: its addresses and all subnets of its network."""
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
        routes=[route for subnet in own for route in subnet.host_routes],
        anti_spoofing=port.port_security_enabled,
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
                routes=subnet.host_routes,
            )
            for subnet in of_network
        ],
    )


def _dns(subnet: Subnet) -> list[str]:
    """Return the name servers of a subnet, or those of the settings that speak its IP version."""
    if subnet.dns_nameservers:
        return list(subnet.dns_nameservers)
    configured = [server.strip() for server in CONFIG.dns_servers.split(",") if server.strip()]
    return [server for server in configured if (":" in server) == (subnet.ip_version == 6)]
