"""Making, changing and deleting ports by the Network API."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.db.models import F

from computecloud.wire.caller import Caller
from networking import names, selectors
from networking.errors import MacAddressInUse, PolicyNotAuthorized, PortNotFound, ServicePortInUse
from networking.models import Network, Port, PortAddress
from networking.services import counting
from networking.services.allocation import WantedIp, give, until_unique
from workers.models import utc_now

DHCP = "network:dhcp"
RESERVED_OWNER = "network:"  # device owners of the cloud's own ports


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPort:
    """What a port is made of; without fixed_ips it gets an address of each IP version, with an empty tuple none."""

    network_id: UUID
    project_id: str = ""
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    mac: str | None = None
    fixed_ips: Sequence[WantedIp] | None = None
    device_id: str = ""
    device_owner: str = ""
    vnic_type: str = "normal"
    profile: dict[str, Any] = field(default_factory=dict)


def create_port(new: NewPort, *, caller: Caller) -> Port:
    """Make a port with its addresses.

    Raises NetworkNotFound, PolicyNotAuthorized, OverQuota, MacAddressInUse and what allocation.give raises.
    """
    network = selectors.network(caller, new.network_id)
    project_id = new.project_id or caller.project_id or ""
    _may_create(new, network, project_id, caller)
    subnets = selectors.subnets_of([network.id])[network.id]
    port_id = uuid4()

    def write(attempt: int) -> Port:
        counting.admit(project_id, "port")
        port = Port.objects.create(
            id=port_id,
            network=network,
            project_id=project_id,
            name=new.name,
            description=new.description,
            admin_state_up=new.admin_state_up,
            mac=_free_mac(network.id, new.mac) if new.mac else names.mac(port_id, attempt),
            device_id=new.device_id,
            device_owner=new.device_owner,
            vnic_type=new.vnic_type,
            profile=new.profile,
        )
        if new.fixed_ips is None or new.fixed_ips:
            give(port, new.fixed_ips or (), subnets, attempt)
        return port

    return until_unique(write)


def update_port(port_id: UUID, changes: dict[str, Any], *, caller: Caller) -> Port:
    """Change name, description, admin_state_up, device_id, device_owner, mac or fixed_ips (a list of WantedIp).

    What a guest's host relies on stays as it is while the port is bound: ServicePortInUse. Raises further PortNotFound,
    PolicyNotAuthorized, MacAddressInUse and what allocation.give raises.
    """
    port = selectors.port(caller, port_id)
    columns = {key: value for key, value in changes.items() if key != "fixed_ips"}
    held = changes.keys() & {"device_id", "device_owner", "mac", "fixed_ips"}
    if port.instance_id is not None and held:
        raise ServicePortInUse(
            port_id, f"server {port.instance_id} holds it, so {sorted(held)} can not change"
        )
    _may_set(changes, port.network, caller, "update_port")
    _not_ours(port)
    subnets = selectors.subnets_of([port.network_id])[port.network_id] if "fixed_ips" in changes else []

    def write(attempt: int) -> None:
        free = Port.objects.filter(pk=port_id, instance_id=None) if held else Port.objects.filter(pk=port_id)
        if "mac" in columns and columns["mac"] != port.mac:
            _free_mac(port.network_id, columns["mac"])
        if not free.update(revision=F("revision") + 1, updated_at=utc_now(), **columns):
            raise _taken_or_gone(port_id)
        if "fixed_ips" in changes:
            _replace_addresses(port, changes["fixed_ips"], subnets, attempt)

    until_unique(write)
    return selectors.port(caller, port_id)


def delete_port(port_id: UUID, *, caller: Caller) -> None:
    """Delete a port that no server holds; raises PortNotFound, ServicePortInUse."""
    port = selectors.port(caller, port_id)
    _not_ours(port)

    def write(_attempt: int) -> None:
        if not Port.objects.filter(pk=port_id, instance_id=None).update(revision=F("revision") + 1):
            raise _taken_or_gone(port_id)
        PortAddress.objects.filter(port=port_id).delete()
        if not Port.objects.filter(pk=port_id).delete()[0]:
            raise PortNotFound(port_id)

    until_unique(write)


def _taken_or_gone(port_id: UUID) -> ServicePortInUse | PortNotFound:
    """Return why a port that was free is not any more: a server has taken it, or it was deleted."""
    holder = Port.objects.filter(pk=port_id).values_list("instance_id", flat=True).first()
    if holder is None:
        return PortNotFound(port_id)
    return ServicePortInUse(port_id, f"server {holder} holds it; detach it or delete the server")


def _replace_addresses(port: Port, wanted: Sequence[WantedIp], subnets: list[Any], attempt: int) -> None:
    """Give the port these addresses alone; those that stay are kept, so that nobody else gets them meanwhile."""
    keep = {wish.address for wish in wanted if wish.address}
    PortAddress.objects.filter(port=port).exclude(address__in=keep).delete()
    left = {row.address for row in PortAddress.objects.filter(port=port)}
    missing = [wish for wish in wanted if wish.address not in left]
    if missing:
        give(port, missing, subnets, attempt)


def _may_create(new: NewPort, network: Network, project_id: str, caller: Caller) -> None:
    if caller.is_admin:
        return
    if project_id != caller.project_id or not (network.project_id == caller.project_id or network.shared):
        raise PolicyNotAuthorized("create_port")
    _may_set({"mac": new.mac} if new.mac else {}, network, caller, "create_port")
    _may_set({"device_owner": new.device_owner}, network, caller, "create_port")


def _may_set(wishes: dict[str, Any], network: Network, caller: Caller, action: str) -> None:
    """Refuse a tenant's choice of hardware address on a shared network: it could draw another guest's traffic."""
    if caller.is_admin:
        return
    if "mac" in wishes and network.project_id != caller.project_id:
        raise PolicyNotAuthorized(f"{action}:mac_address")
    if str(wishes.get("device_owner", "")).startswith(RESERVED_OWNER):
        raise PolicyNotAuthorized(f"{action}:device_owner")


def _not_ours(port: Port) -> None:
    if port.device_owner == DHCP:
        raise ServicePortInUse(
            port.pk, "the network's DHCP server has it; it goes with the subnets that enable DHCP"
        )


def _free_mac(network_id: UUID, mac: str) -> str:
    if Port.objects.filter(network=network_id, mac=mac).exists():
        raise MacAddressInUse(network_id, mac)
    return mac
