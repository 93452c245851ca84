"""What a fresh installation begins with: the public network, by which guests reach the world and the host them."""

import ipaddress
from dataclasses import replace
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import structlog

from computecloud.config import CONFIG
from networking import addressing, names, selectors
from networking.addressing import Cidr
from networking.models import Network, SecurityGroup
from networking.services.allocation import until_unique
from networking.services.groups import default_group
from networking.services.networks import NewNetwork, add_network
from networking.services.rules import NewRule, add_rule
from networking.services.subnets import NewSubnet, add_subnet

log = structlog.get_logger()
ROUTES = Path("/proc/net/route")
MTU = 1500
VXLAN = 50  # bytes that a frame grows by on its way to another host


def bootstrap(*, project_id: str = "", routes: Path = ROUTES) -> UUID:
    """Make the public network if it is not there; returns its id.

    It is shared and external, and takes public_cidr, or where this host uses that already the next free range.
    Its id comes from the installation's tag, so that a fresh database finds the old one's things on the host.
    """
    network_id = uuid5(NAMESPACE_URL, f"computecloud:public:{selectors.tag()}")
    if Network.objects.filter(pk=network_id).exists():
        return network_id
    used, uplink_mtu = ranges_in_use(routes)
    cidr = addressing.free_cidr(CONFIG.public_cidr, used)
    new = NewNetwork(name="public", shared=True, external=True, mtu=min(MTU, uplink_mtu) - VXLAN)

    def write(attempt: int) -> None:
        if Network.objects.filter(pk=network_id).exists():
            return
        network = add_network(new, network_id=network_id, project_id=project_id)
        add_subnet(
            NewSubnet(network_id=network_id, cidr=cidr, name="public"), network=network, attempt=attempt
        )

    until_unique(write)
    log.info("network.public", network_id=str(network_id), cidr=cidr)
    return network_id


def let_in(project_id: str) -> None:
    """Have a project's default group let in SSH and ping, where the project has no group yet: a newcomer tries both."""
    if SecurityGroup.objects.filter(project_id=project_id).exists():
        return
    group = SecurityGroup.objects.get(pk=default_group(project_id))
    for ip_version, ping in ((4, "icmp"), (6, "ipv6-icmp")):
        icmp = NewRule(group_id=group.pk, direction="ingress", ip_version=ip_version, protocol=ping)
        add_rule(group, icmp)
        add_rule(group, replace(icmp, protocol="tcp", port_min=22, port_max=22))


def ranges_in_use(routes: Path) -> tuple[list[Cidr], int]:
    """Return the IPv4 ranges that the kernel's table of routes leads to, but ours, and the default route's MTU.

    The table is as /proc/net/route has it: hexadecimal, in the byte order of a little-endian machine.
    """
    used: list[Cidr] = []
    mtu = MTU
    ours = names.PREFIX + selectors.tag()
    for line in routes.read_text().splitlines()[1:] if routes.exists() else []:
        device, destination, _, _, _, _, _, mask, *_ = line.split()
        if int(mask, 16) == 0:
            mtu = _mtu_of(device)
        elif not device.startswith(ours):
            used.append(
                ipaddress.IPv4Network((_little(destination), str(ipaddress.IPv4Address(_little(mask)))))
            )
    return used, mtu


def _little(text: str) -> bytes:
    return int(text, 16).to_bytes(4, "little")


def _mtu_of(device: str) -> int:
    known = Path("/sys/class/net") / device / "mtu"
    return int(known.read_text()) if known.exists() else MTU
