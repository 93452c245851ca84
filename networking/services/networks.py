"""Making, changing and deleting networks."""

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db.models import F

from computecloud.wire.caller import Caller
from networking import selectors
from networking.errors import InvalidSharedSetting, NetworkInUse, NetworkNotFound, PolicyNotAuthorized
from networking.models import Network, Port, PortAddress, RbacPolicy, Subnet
from networking.services import counting, sharing, spreading
from networking.services.allocation import until_unique
from networking.services.ports import DHCP
from workers.models import utc_now

VNI_MAX = 2**24 - 1
TENANT_MTU = 1450  # 1500 less what VXLAN adds


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNetwork:
    """What a network is made of; shared and external ones take an administrator."""

    name: str = ""
    description: str = ""
    project_id: str = ""
    admin_state_up: bool = True
    shared: bool = False
    external: bool = False
    mtu: int = TENANT_MTU
    port_security_enabled: bool = True


def create_network(new: NewNetwork, *, caller: Caller) -> Network:
    """Make a network; raises PolicyNotAuthorized, OverQuota."""
    project_id = new.project_id or caller.project_id or ""
    if not caller.is_admin and (new.shared or new.external or project_id != caller.project_id):
        raise PolicyNotAuthorized("create_network")

    def write(_attempt: int) -> Network:
        counting.admit(project_id, "network")
        return add_network(new, network_id=uuid4(), project_id=project_id)

    return until_unique(write)


def add_network(new: NewNetwork, *, network_id: UUID, project_id: str, is_auto: bool = False) -> Network:
    """Write the row with a number of its own; call it in until_unique's write."""
    network = Network.objects.create(
        id=network_id,
        project_id=project_id,
        name=new.name,
        description=new.description,
        admin_state_up=new.admin_state_up,
        shared=new.shared,
        external=new.external,
        mtu=new.mtu,
        port_security_enabled=new.port_security_enabled,
        is_auto=is_auto,
        vni=1 + secrets.randbelow(VNI_MAX),
    )
    sharing.share_with_all(network, flags={key: True for key in ("shared", "external") if getattr(new, key)})
    return network


def update_network(network_id: UUID, changes: dict[str, Any], *, caller: Caller) -> Network:
    """Change name, description, admin_state_up, port_security_enabled (of ports to come), shared or external.

    Raises NetworkNotFound, PolicyNotAuthorized, InvalidSharedSetting.
    """
    network = selectors.network(caller, network_id)
    own_to_change(network, caller, "update_network")
    if not caller.is_admin and changes.keys() & {"shared", "external"}:
        raise PolicyNotAuthorized("update_network:shared")

    def write(_attempt: int) -> None:
        _touch(network_id, **changes)
        sharing.share_with_all(network, flags=changes)
        if changes.get("shared") is False:
            guests = RbacPolicy.objects.filter(
                object_type="network", object_id=network_id, action=sharing.SHARED
            )
            strangers = Port.objects.filter(network=network_id).exclude(
                project_id__in=[network.project_id, *guests.values_list("target", flat=True)]
            )
            if strangers.exclude(device_owner=DHCP).exists():
                raise InvalidSharedSetting(network_id)
        if changes.keys() & {"external", "admin_state_up"}:
            spreading.network_changed([network_id])

    until_unique(write)
    return selectors.network(caller, network_id)


def delete_network(network_id: UUID, *, caller: Caller) -> None:
    """Delete a network with its subnets; raises NetworkNotFound, PolicyNotAuthorized, NetworkInUse."""
    network = selectors.network(caller, network_id)
    own_to_change(network, caller, "delete_network")

    def write(_attempt: int) -> None:
        _touch(network_id)
        ports = Port.objects.filter(network=network_id)
        if ports.exclude(device_owner=DHCP).exists():
            raise NetworkInUse(network_id)
        PortAddress.objects.filter(port__in=ports).delete()
        ports.delete()
        Subnet.objects.filter(network=network_id).delete()
        sharing.forget_shares("network", network_id)
        Network.objects.filter(pk=network_id).delete()

    until_unique(write)


def own_to_change(network: Network, caller: Caller, action: str) -> None:
    """Raise PolicyNotAuthorized where the network is another project's, although the caller sees it."""
    if not caller.is_admin and network.project_id != caller.project_id:
        raise PolicyNotAuthorized(action)


def _touch(network_id: UUID, **changes: Any) -> None:
    """Write the row first, so that what follows in the transaction is alone with the network."""
    if not Network.objects.filter(pk=network_id).update(
        revision=F("revision") + 1, updated_at=utc_now(), **changes
    ):
        raise NetworkNotFound(network_id)
