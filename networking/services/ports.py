"""Making, changing and deleting ports by the Network API."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.db.models import F

from computecloud.wire.caller import Caller
from networking import names, selectors
from networking.errors import (
    MacAddressInUse,
    PolicyNotAuthorized,
    PortBound,
    PortNotFound,
    ServicePortInUse,
)
from networking.models import Network, Port, PortAddress, PortGroup
from networking.services import counting, groups, security, spreading
from networking.services.allocation import WantedIp, give, until_unique
from workers import events
from workers.models import utc_now

DHCP = "network:dhcp"
RESERVED_OWNER = "network:"  # device owners of the cloud's own ports


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPort:
    """What a port is made of; without fixed_ips it gets an address of each IP version, with an empty tuple none.

    security_groups None: its project's default group, where port security is on.
    """

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
    port_security_enabled: bool | None = None  # None: as its network says
    security_groups: Sequence[UUID] | None = None
    allowed_address_pairs: Sequence[dict[str, str]] = ()


def create_port(new: NewPort, *, caller: Caller) -> Port:
    """Make a port with its addresses.

    Raises NetworkNotFound, PolicyNotAuthorized, OverQuota, MacAddressInUse, SecurityGroupNotFound, and what
    allocation.give and security.settle raise.
    """
    network = selectors.network(caller, new.network_id)
    project_id = new.project_id or caller.project_id or ""
    _may_create(new, network, project_id, caller)
    subnets = selectors.subnets_of([network.id])[network.id]
    port_id = uuid4()
    secured = (
        network.port_security_enabled if new.port_security_enabled is None else new.port_security_enabled
    )
    chosen = groups.checked(new.security_groups, caller) if new.security_groups is not None else None
    if chosen is None:
        chosen = [groups.default_group(project_id)] if secured else []

    def write(attempt: int) -> Port:
        counting.admit(project_id, "port")
        port = Port(
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
            port_security_enabled=secured,
        )
        port.allowed_address_pairs = security.settle(port, chosen, new.allowed_address_pairs)
        port.save(force_insert=True)
        put_in_groups(port, chosen)
        if new.fixed_ips is None or new.fixed_ips:
            give(port, new.fixed_ips or (), subnets, attempt)
        return port

    return until_unique(write)


def put_in_groups(port: Port, group_ids: Sequence[UUID]) -> None:
    """Give a port its security groups; none where there are none."""
    if group_ids:
        PortGroup.objects.bulk_create([PortGroup(port=port, group_id=group_id) for group_id in group_ids])


def update_port(port_id: UUID, changes: dict[str, Any], *, caller: Caller) -> Port:
    """Change what a port is called, whose it is, what it may send and receive, and its addresses (a list of WantedIp).

    Its host follows while the guest runs. A server that holds it keeps device_id, device_owner and mac: raises
    ServicePortInUse, PortBound. Raises further PortNotFound, PolicyNotAuthorized, MacAddressInUse,
    SecurityGroupNotFound, and what allocation.give and security.settle raise.
    """
    port = selectors.port(caller, port_id)
    _check_holder(port, changes)
    _may_set(changes, port.network, caller, "update_port")
    _not_ours(port)
    before = selectors.groups_of([port_id])[port_id]
    chosen = groups.checked(changes["security_groups"], caller) if "security_groups" in changes else before
    columns = {key: value for key, value in changes.items() if key not in ("fixed_ips", "security_groups")}
    pairs = columns.get("allowed_address_pairs", port.allowed_address_pairs)
    port.port_security_enabled = columns.get("port_security_enabled", port.port_security_enabled)
    columns["allowed_address_pairs"] = security.settle(
        port, chosen, pairs, had_groups="security_groups" not in changes
    )
    subnets = selectors.subnets_of([port.network_id])[port.network_id] if "fixed_ips" in changes else []

    def write(attempt: int) -> None:
        rows = Port.objects.filter(pk=port_id)
        free = rows.filter(instance_id=None) if changes.keys() & _HELD else rows
        if "mac" in columns and columns["mac"] != port.mac:
            _free_mac(port.network_id, columns["mac"])
        if not free.update(revision=F("revision") + 1, updated_at=utc_now(), **columns):
            raise _taken_or_gone(port_id)
        if "fixed_ips" in changes:
            _replace_addresses(port, changes["fixed_ips"], subnets, attempt)
        if set(chosen) != set(before):
            PortGroup.objects.filter(port=port_id).delete()
            put_in_groups(port, chosen)
        _spread(rows.get(), changes, {*before, *chosen})

    until_unique(write)
    return selectors.port(caller, port_id)


_HELD = frozenset({"device_id", "device_owner", "mac"})  # what a server that holds the port relies on
_FOLLOWED = frozenset(
    {"fixed_ips", "security_groups", "allowed_address_pairs", "port_security_enabled", "admin_state_up"}
)


def _spread(port: Port, changes: dict[str, Any], group_ids: set[UUID]) -> None:
    """Tell hosts, and whoever shows a server's addresses, of what concerns them."""
    if not changes.keys() & _FOLLOWED:
        return
    spreading.port_changed(port, group_ids)
    if port.instance_id is not None and "fixed_ips" in changes:
        events.emit("port.addresses", instance_id=port.instance_id)


def _check_holder(port: Port, changes: dict[str, Any]) -> None:
    held = sorted(changes.keys() & _HELD)
    if port.instance_id is None or not held:
        return
    if held == ["mac"]:
        raise PortBound(port.pk)
    raise ServicePortInUse(port.pk, f"server {port.instance_id} holds it, so {held} can not change")


def delete_port(port_id: UUID, *, caller: Caller) -> None:
    """Delete a port that no server holds; raises PortNotFound, ServicePortInUse."""
    port = selectors.port(caller, port_id)
    _not_ours(port)

    def write(_attempt: int) -> None:
        if not Port.objects.filter(pk=port_id, instance_id=None).update(revision=F("revision") + 1):
            raise _taken_or_gone(port_id)
        spreading.members_changed(selectors.groups_of([port_id])[port_id])
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
    usable = selectors.usable_networks(caller.project_id or "").filter(pk=network.pk)
    if project_id != caller.project_id or not (network.project_id == caller.project_id or usable.exists()):
        raise PolicyNotAuthorized("create_port")
    wishes = {
        "mac": new.mac,
        "device_owner": new.device_owner or None,
        "port_security_enabled": new.port_security_enabled,
        "allowed_address_pairs": new.allowed_address_pairs or None,
    }
    _may_set(
        {key: value for key, value in wishes.items() if value is not None}, network, caller, "create_port"
    )


def _may_set(wishes: dict[str, Any], network: Network, caller: Caller, action: str) -> None:
    """Refuse on another's network what would let a tenant draw the traffic of others' guests."""
    if caller.is_admin:
        return
    if network.project_id != caller.project_id:
        for key, name in _OWNERS_ALONE.items():
            if key in wishes:
                raise PolicyNotAuthorized(f"{action}:{name}")
    if str(wishes.get("device_owner", "")).startswith(RESERVED_OWNER):
        raise PolicyNotAuthorized(f"{action}:device_owner")


_OWNERS_ALONE = {
    "mac": "mac_address",
    "port_security_enabled": "port_security_enabled",
    "allowed_address_pairs": "allowed_address_pairs",
}


def _not_ours(port: Port) -> None:
    if port.device_owner == DHCP:
        raise ServicePortInUse(
            port.pk, "the network's DHCP server has it; it goes with the subnets that enable DHCP"
        )


def _free_mac(network_id: UUID, mac: str) -> str:
    if Port.objects.filter(network=network_id, mac=mac).exists():
        raise MacAddressInUse(network_id, mac)
    return mac
