"""A network's bridge and namespace: lines for `ip -batch`, from what the kernel shows to be missing."""

import ipaddress
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid5

from computecloud.config import CONFIG
from networking import names
from networking.addressing import link_local
from networking.facts import NetworkFacts, SubnetFacts
from networking.wiring.commands import WiringFailed, ip, run
from networking.wiring.ruleset import VXLAN_PORT

LINKS = Path("/sys/class/net")
NAMESPACES = Path("/run/netns")
INNER = "eth0"  # the name of the veth's end in the namespace
ISOLATED = (
    "link set {} type bridge_slave isolated on"  # the network's services on a host are for its guests alone
)
FILTERED = "nf_call_iptables 1 nf_call_ip6tables 1"  # connections are known of what passes the bridge


def stand(network: NetworkFacts) -> bool:
    """Tell, without a fork, whether the bridge, the namespace and the veth between them are there."""
    master = LINKS / network.veth / "master"
    return master.exists() and master.resolve().name == network.bridge and is_namespace(network.namespace)


def make(network: NetworkFacts, taps: Iterable[str]) -> None:
    """Have the network's bridge and namespace, and those of the taps that exist in the bridge; raises WiringFailed."""
    if network.external:
        _check_ranges_free(network)
    if not Path("/proc/sys/net/bridge").exists():
        run(["modprobe", "br_netfilter"])
    lines = []
    if not is_namespace(network.namespace):
        (NAMESPACES / network.namespace).unlink(
            missing_ok=True
        )  # what a process killed in `netns add` leaves
        remove([network.veth])  # its other end went with the namespace it was in
        lines.append(f"netns add {network.namespace}")
    if not exists(network.bridge):
        lines.append(f"link add {network.bridge} type bridge forward_delay 0 mcast_snooping 0")
    if not exists(network.veth) or "netns" in "".join(lines):
        lines.append(f"link add {network.veth} type veth peer name {INNER} netns {network.namespace}")
    plugs = [f"link set {tap} master {network.bridge}" for tap in taps if exists(tap)]
    ip(lines + _outer(network) + plugs)
    ip(_inner(network), namespace=network.namespace)


def remove(names_of_links: Iterable[str], namespaces: Iterable[str] = ()) -> None:
    """Have these gone, as far as they are there; raises WiringFailed.

    Some go by themselves meanwhile: a tap device with its guest, a veth with the namespace of its other end.
    """
    links, spaces = list(names_of_links), list(namespaces)
    lines = [f"link del {link}" for link in links if exists(link)]
    lines += [f"netns del {name}" for name in spaces if (NAMESPACES / name).exists()]
    try:
        ip(lines, to_the_end=True)
    except WiringFailed:
        if any(map(exists, links)) or any((NAMESPACES / name).exists() for name in spaces):
            raise


def unmake(networks: Iterable[NetworkFacts], taps: Iterable[str]) -> None:
    """Remove these networks' bridges and namespaces, and tap devices; raises WiringFailed."""
    gone = list(networks)
    ours = [link for network in gone for link in (network.veth, network.wire, network.bridge) if link]
    remove([*taps, *ours], [network.namespace for network in gone])


def reach(network: NetworkFacts, peers: Sequence[str]) -> None:
    """Have the bridge meet the network's bridges on other hosts, by VXLAN (RFC 7348) with a list of them for flooding.

    Without any there is no device, and nobody can send anything into the network. Raises WiringFailed.
    """
    device = network.wire
    if not peers or not CONFIG.underlay_ip:
        if device and exists(device):
            ip([f"link del {device}"])
        return
    if not exists(device):
        ip(
            [
                f"link add {device} type vxlan id {network.vni} dstport {VXLAN_PORT} local {CONFIG.underlay_ip}",
                *_no_ipv6(device),
            ]
        )
    ip([f"link set {device} mtu {network.mtu} master {network.bridge} up", f"{ISOLATED.format(device)}"])
    known = {entry["dst"] for entry in _flooded(device)}
    flood = f"00:00:00:00:00:00 dev {device} dst"
    lines = [f"fdb append {flood} {peer}" for peer in peers if peer not in known]
    lines += [f"fdb del {flood} {peer}" for peer in sorted(known - set(peers))]
    if lines:
        run(["bridge", "-batch", "-"], script="\n".join(lines) + "\n")


def _flooded(device: str) -> list[dict[str, str]]:
    found = json.loads(run(["bridge", "-json", "fdb", "show", "dev", device]) or "[]")
    return [entry for entry in found if entry.get("mac") == "00:00:00:00:00:00" and "dst" in entry]


def exists(link: str) -> bool:
    """Tell whether the host has a link of this name."""
    return (LINKS / link).exists()


def is_namespace(name: str) -> bool:
    """Tell whether there is a namespace of this name, and not only the file for one."""
    try:
        return (NAMESPACES / name).stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except FileNotFoundError:
        return False


def forward(marker: Path) -> None:
    """Have the host forward between its links; the marker notes that it did not before."""
    switch = Path("/proc/sys/net/ipv4/ip_forward")
    if switch.read_text().strip() == "0":
        marker.touch()
        switch.write_text("1\n")


def stop_forwarding(marker: Path, others: Sequence[Path]) -> None:
    """Take back what forward changed, if it changed anything; another installation on this host inherits it."""
    if _is_to_be_taken_back(marker, others):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0\n")


def note_namespaces(marker: Path) -> None:
    """Note, before the first namespace, that the host has no folder for them: `ip` makes it, and leaves it."""
    if not NAMESPACES.exists():
        marker.touch()


def remove_namespaces(marker: Path, others: Sequence[Path]) -> None:
    """Remove the folder of namespaces if it came with ours; it stays while anybody has one."""
    if _is_to_be_taken_back(marker, others):
        with suppress(WiringFailed, OSError):  # in use
            run(["umount", str(NAMESPACES)])
            NAMESPACES.rmdir()


def _is_to_be_taken_back(marker: Path, others: Sequence[Path]) -> bool:
    if not marker.exists():
        return False
    if others:
        (others[0] / marker.name).touch()
    marker.unlink()
    return not others


def _outer(network: NetworkFacts) -> list[str]:
    bridge, veth = network.bridge, network.veth
    lines = [
        *_no_ipv6(bridge),
        f"link set {bridge} type bridge {FILTERED}",
        f"link set {bridge} address {names.mac(UUID(network.id))} mtu {network.mtu} up",
        *_no_ipv6(veth),
        f"link set {veth} mtu {network.mtu} master {bridge} up",
        ISOLATED.format(veth),
    ]
    if network.external:
        lines += [f"addr replace {address} dev {bridge}" for address in _gateways(network)]
    return lines


def _inner(network: NetworkFacts) -> list[str]:
    served = [s for s in network.subnets if s.dhcp_address]
    own = [_with_prefix(str(s.dhcp_address), s.cidr) for s in served]
    own += [] if network.external else _gateways(network)
    own += [f"{network.metadata_ip}/32"] if network.metadata_ip else []
    mac = names.mac(uuid5(UUID(network.id), "dhcp"))
    if any(s.version == 6 for s in network.subnets):
        own += [f"{link_local(mac)}/64"]
        inner = [s for s in network.subnets if not network.external and _is_inner_gateway(s)]
        own += [_with_prefix(str(s.gateway), s.cidr) for s in inner]
    return [
        "link set lo up",
        *_no_ipv6(INNER),
        f"link set {INNER} address {mac} mtu {network.mtu} up",
        f"addr flush dev {INNER}",
        *(f"addr add {address} dev {INNER}{' nodad' if ':' in address else ''}" for address in own),
    ]


def _no_ipv6(link: str) -> list[str]:
    """Return what keeps the kernel from giving the link an IPv6 address of its own, where it knows IPv6 at all."""
    return [f"link set {link} addrgenmode none"] if Path("/proc/sys/net/ipv6").exists() else []


def _gateways(network: NetworkFacts) -> list[str]:
    return [_with_prefix(s.gateway, s.cidr) for s in network.subnets if s.version == 4 and s.gateway]


def _is_inner_gateway(subnet: SubnetFacts) -> bool:
    return subnet.version == 6 and subnet.gateway is not None and not subnet.gateway.startswith("fe80:")


def _with_prefix(address: str, cidr: str) -> str:
    return f"{address}/{cidr.partition('/')[2]}"


def _check_ranges_free(network: NetworkFacts) -> None:
    """Raise WiringFailed where the host reaches an external network's range by another link: it would be cut off."""
    ranges = [ipaddress.ip_network(subnet.cidr) for subnet in network.subnets if subnet.version == 4]
    for route in json.loads(run(["ip", "-json", "-4", "route"]) or "[]"):
        if route.get("dev") == network.bridge or route["dst"] == "default":
            continue
        for cidr in ranges:
            if cidr.overlaps(ipaddress.ip_network(route["dst"])):
                raise WiringFailed(
                    f"The host {os.uname().nodename} reaches {route['dst']} by {route.get('dev')}, so it can not carry "
                    f"the external network {network.id} with {cidr}; give that network another range.",
                    retryable=False,
                )
