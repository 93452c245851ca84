"""The ports of instances: checked when a server is asked for, bound to its host, and let go."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import Q

from computecloud.wire.caller import Caller
from computecloud.wire.errors import Forbidden, InvalidInput, QuotaExceeded
from networking import names, selectors, wiring
from networking.errors import NetworkNotFound, PortInUse, PortNotFound
from networking.facts import PlannedNic, PortFacts
from networking.models import Network, Port, PortAddress, PortGroup, PortStatus, SecurityGroup, Subnet
from networking.services import groups, spreading
from networking.services.allocation import WantedIp, give, until_unique
from networking.services.auto import auto_network, default_network
from networking.services.ports import put_in_groups
from workers import sql
from workers.models import utc_now

NICS_MAX = 16
OWNER = "compute:nova"

Requested = str | Sequence[Mapping[str, Any]] | None


def plan(requested: Requested, caller: Caller, *, security_groups: Sequence[str] = ()) -> list[PlannedNic]:
    """Return the network cards that a request for a server means.

    requested: None where it says nothing, "auto", "none", or a list of {uuid | port, fixed_ip?, tag?}.
    security_groups: names or ids of groups for the ports that are made; none: the project's default group.
    Raises InvalidInput, Forbidden, PortInUse, QuotaExceeded or NetworkAmbiguous, in Nova's words.
    """
    planned = _planned(requested, caller)
    if all(nic.port_id for nic in planned) and set(security_groups) <= {groups.DEFAULT}:
        return planned
    chosen = [str(group_id) for group_id in groups.named(security_groups, caller.project_id or "")]
    return [nic if nic.port_id else replace(nic, groups=chosen) for nic in planned]


def _planned(requested: Requested, caller: Caller) -> list[PlannedNic]:
    project_id = caller.project_id or ""
    if requested == "none":
        return []
    if requested == "auto":
        return [PlannedNic(str(auto_network(project_id)))]
    if not requested:
        only = default_network(project_id)
        return [] if only is None else [PlannedNic(str(only))]
    if isinstance(requested, str):
        raise InvalidInput(
            f"Invalid input for field/attribute networks. Value: {requested}: auto, none or a list."
        )
    if len(requested) > NICS_MAX:
        raise QuotaExceeded(f"Maximum number of ports exceeded: a server has at most {NICS_MAX}.")
    return _checked([_read(item) for item in requested], caller)


def bind(
    instance_id: UUID,
    project_id: str,
    host: str,
    plan: Sequence[PlannedNic],
    *,
    fence: Callable[[], None] = lambda: None,
) -> list[PortFacts]:
    """Have the instance's planned ports on this host, whatever was there before; writes rows only.

    fence: called in the transaction that takes ports from another host; it raises where that is not ours to do. A
    planned port that exists is taken; others are made, with ids that follow from the instance's. Raises PortInUse,
    PortNotFound, NetworkNotFound, IpAddressInUse, IpAddressGenerationFailure, and then has changed nothing.
    """
    holder = _Holder(instance_id, project_id, host)
    held = {port.id: port for port in selectors.ports_of_instance(instance_id)}
    if held and all(holder.port_id(i, nic) in held for i, nic in enumerate(plan)):
        if any(port.host != host for port in held.values()):
            with transaction.atomic():
                fence()
                _move(instance_id, host)
        return selectors.facts_of(instance_id)
    subnets = selectors.subnets_of(UUID(nic.network_id) for nic in plan)

    def write(attempt: int) -> list[tuple[Port, list[PortAddress]]]:
        have = {port.id for port in selectors.ports_of_instance(instance_id)} if attempt else set(held)
        missing = [(i, nic) for i, nic in enumerate(plan) if holder.port_id(i, nic) not in have]
        in_order = sorted(
            missing, key=lambda pair: pair[1].network_id
        )  # so that two binds can not wait in a ring
        if have:
            fence()
            _move(instance_id, host)
        return [holder.get(i, nic, subnets.get(UUID(nic.network_id), []), attempt) for i, nic in in_order]

    made = until_unique(write)
    if len(made) < len(plan) or any(nic.port_id for nic in plan):
        return selectors.facts_of(instance_id)
    made.sort(key=lambda pair: pair[0].index)
    return [
        selectors.port_facts(
            port, addresses, subnets[port.network_id], [UUID(group) for group in plan[port.index].groups]
        )
        for port, addresses in made
    ]


def _move(instance_id: UUID, host: str) -> None:
    """Give the instance's ports to a host; those that know them elsewhere are told."""
    held = Port.objects.filter(instance_id=instance_id)
    if wiring.wires():
        spreading.unwired(held.exclude(host=host))
    held.exclude(host=host).update(host=host, status=PortStatus.BUILD)


def mark_wired(instance_id: UUID) -> None:
    """Say that the instance's ports are wired on their host: they become ACTIVE."""
    held = Port.objects.filter(instance_id=instance_id)
    if held.exclude(status=PortStatus.ACTIVE).update(status=PortStatus.ACTIVE) and wiring.wires():
        spreading.wired(instance_id)


def unbind(instance_id: UUID) -> None:
    """Let go of the instance's ports: those made for it go, with their addresses; the others are free again."""
    with transaction.atomic(savepoint=False):
        held = Port.objects.filter(instance_id=instance_id)
        if wiring.wires():
            spreading.unwired(held)
        held.filter(made_by_instance=False).update(
            instance_id=None, device_id="", device_owner="", host="", status=PortStatus.DOWN, index=0, tag=""
        )
        PortAddress.objects.filter(port__in=held).delete()
        PortGroup.objects.filter(port__in=held).delete()
        sql.execute("DELETE FROM networking_port WHERE instance_id = %(id)s", {"id": instance_id})


@dataclass(frozen=True, slots=True)
class _Holder:
    """The instance that gets ports, and where it is."""

    instance_id: UUID
    project_id: str
    host: str

    def port_id(self, index: int, nic: PlannedNic) -> UUID:
        return UUID(nic.port_id) if nic.port_id else uuid5(self.instance_id, f"port {index}")

    def get(
        self, index: int, nic: PlannedNic, subnets: list[Subnet], attempt: int
    ) -> tuple[Port, list[PortAddress]]:
        if nic.port_id:
            return self._take(index, nic), []
        if not subnets:
            raise NetworkNotFound(nic.network_id)
        port = Port(
            id=self.port_id(index, nic),
            network=subnets[0].network,
            project_id=self.project_id,
            made_by_instance=True,
            port_security_enabled=subnets[0].network.port_security_enabled,
            **self._binding(index, nic),
        )
        port.mac = names.mac(port.id, attempt)
        port.save(force_insert=True)
        chosen = [UUID(group) for group in nic.groups] if port.port_security_enabled else []
        if attempt:  # one of them may have been deleted meanwhile
            chosen = list(SecurityGroup.objects.filter(pk__in=chosen).values_list("pk", flat=True))
        put_in_groups(port, chosen)
        wanted = [WantedIp(address=nic.fixed_ip)] if nic.fixed_ip else []
        return port, give(port, wanted, subnets, attempt)

    def _take(self, index: int, nic: PlannedNic) -> Port:
        rows = Port.objects.filter(pk=self.port_id(index, nic))
        free = Q(instance_id=None) & Q(device_id__in=["", str(self.instance_id)])
        if not rows.filter(free).update(**self._binding(index, nic), updated_at=utc_now()):
            raise PortInUse(nic.port_id) if rows.exists() else PortNotFound(nic.port_id)
        return rows.get()

    def _binding(self, index: int, nic: PlannedNic) -> dict[str, Any]:
        return {
            "instance_id": self.instance_id,
            "device_id": str(self.instance_id),
            "device_owner": OWNER,
            "host": self.host,
            "status": PortStatus.BUILD,
            "index": index,
            "tag": nic.tag,
        }


@dataclass(frozen=True, slots=True)
class _Wish:
    """One item of a request's networks, read but not looked up."""

    network_id: UUID | None
    port_id: UUID | None
    fixed_ip: str | None
    tag: str


def _read(item: Mapping[str, Any]) -> _Wish:
    network_id, port_id = _uuid(item.get("uuid"), "network uuid"), _uuid(item.get("port"), "port uuid")
    fixed_ip = item.get("fixed_ip")
    if network_id is None and port_id is None:
        raise InvalidInput("Bad networks format: an item needs a network uuid or a port.")
    if fixed_ip is None:
        return _Wish(network_id, port_id, None, item.get("tag") or "")
    if port_id is not None:
        raise InvalidInput(
            f"Specified Fixed IP '{fixed_ip}' cannot be used with port '{port_id}': "
            "the two cannot be specified together."
        )
    try:
        address = str(ipaddress.ip_address(str(fixed_ip)))
    except ValueError:
        raise InvalidInput(f"Invalid fixed IP address ({fixed_ip})") from None
    return _Wish(network_id, None, address, item.get("tag") or "")


def _uuid(value: Any, what: str) -> UUID | None:
    if value is None:
        return None
    try:
        return UUID(str(value))
    except ValueError:
        raise InvalidInput(f"Bad networks format: {what} is not in proper format ({value})") from None


def _checked(wishes: list[_Wish], caller: Caller) -> list[PlannedNic]:
    """Look all wishes up in four queries at most."""
    ports = _free_ports([wish.port_id for wish in wishes if wish.port_id], caller)
    network_ids = [wish.network_id for wish in wishes if wish.network_id and not wish.port_id]
    subnets = _usable_subnets(network_ids, caller)
    wanted_ips = [(wish.network_id, wish.fixed_ip) for wish in wishes if wish.network_id and wish.fixed_ip]
    _check_fixed_ips(wanted_ips, subnets)
    return [
        PlannedNic(str(ports[wish.port_id].network_id), str(wish.port_id), None, wish.tag)
        if wish.port_id
        else PlannedNic(str(wish.network_id), None, wish.fixed_ip, wish.tag)
        for wish in wishes
    ]


def _free_ports(port_ids: list[UUID], caller: Caller) -> dict[UUID, Port]:
    if len(set(port_ids)) < len(port_ids):
        raise InvalidInput("Bad networks format: a port is listed twice.")
    found = selectors.ports(caller).filter(pk__in=port_ids).prefetch_related("addresses") if port_ids else []
    ports = {port.id: port for port in found}
    for port_id in port_ids:
        if port_id not in ports:
            raise InvalidInput(f"Port id {port_id} could not be found.")
        if ports[port_id].device_id or ports[port_id].instance_id:
            raise PortInUse(port_id)
        if not ports[port_id].addresses.all():
            raise InvalidInput(f"Port {port_id} requires a FixedIP in order to be used.")
    return ports


def _usable_subnets(network_ids: list[UUID], caller: Caller) -> dict[UUID, list[Subnet]]:
    if not network_ids:
        return {}
    networks: dict[UUID, Network] = {
        row.id: row for row in selectors.networks(caller).filter(pk__in=network_ids)
    }
    subnets = selectors.subnets_of(network_ids)
    usable = {network_id for network_id, row in networks.items() if row.project_id == caller.project_id}
    if not caller.is_admin and any(not row.shared for row in networks.values() if row.id not in usable):
        usable |= set(selectors.usable_networks(caller.project_id or "").values_list("pk", flat=True))
    for network_id in network_ids:
        network = networks.get(network_id)
        if network is None:
            raise InvalidInput(f"Network {network_id} could not be found.")
        if not (network.shared or caller.is_admin or network_id in usable):
            raise Forbidden(f"It is not allowed to create an interface on external network {network_id}")
        if not subnets[network_id]:
            raise InvalidInput(f"Network {network_id} requires a subnet in order to boot instances on.")
    return subnets


def _check_fixed_ips(wanted: Iterable[tuple[UUID, str]], subnets: Mapping[UUID, list[Subnet]]) -> None:
    pairs = list(wanted)
    if not pairs:
        return
    if len(set(pairs)) < len(pairs):
        raise InvalidInput("Bad networks format: a fixed IP address is listed twice.")
    taken = PortAddress.objects.filter(
        subnet__network__in=[network_id for network_id, _ in pairs],
        address__in=[address for _, address in pairs],
    )
    in_use = set(taken.values_list("subnet__network_id", "address"))
    for network_id, text in pairs:
        address = ipaddress.ip_address(text)
        holding = [row for row in subnets[network_id] if address in ipaddress.ip_network(row.cidr)]
        if not holding:
            raise InvalidInput(f"Fixed IP {text} is not a valid ip address for network {network_id}.")
        if (network_id, text) in in_use or text in {row.gateway_ip for row in holding}:
            raise InvalidInput(f"Fixed IP address {text} is already in use on network {network_id}.")
