"""A network's DHCP server: dnsmasq in the network's namespace, as a daemon that outlives the worker.

It answers only ports that are on this host, each with its own address, and does no DNS.
"""

import ipaddress
import os
import select
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from networking.facts import NetworkFacts, PortFacts, SubnetFacts
from networking.wiring import links, memory
from networking.wiring.commands import WiringFailed, run

LEASE_S = 86_400
STOP_S = 5.0
RA_EVERY_S, RA_LIFE_S = 60, 1_800


def serve(network: NetworkFacts, ports: Sequence[PortFacts]) -> None:
    """Have the server run and know these ports; raises WiringFailed."""
    folder = memory.folder_of(network)
    changed = memory.write(folder / "dnsmasq.conf", configuration(network))
    told = memory.write(folder / "hosts", hosts(ports))
    pid = running(folder)
    if pid is not None and (changed or _in_the_way(folder, ports)):
        stop(pid)
        pid = None
    if pid is None:
        _start(network, ports)
    elif told:
        os.kill(pid, signal.SIGHUP)


def configuration(network: NetworkFacts) -> str:
    """Return dnsmasq's configuration."""
    folder = memory.folder_of(network)
    lines = [
        "port=0",
        "no-hosts",
        "no-resolv",
        "no-ping",
        "bind-interfaces",
        f"interface={links.INNER}",
        "except-interface=lo",
        "dhcp-authoritative",
        "dhcp-ignore=tag:!known",
        "dhcp-lease-max=65536",
        "quiet-dhcp",
        f"dhcp-hostsfile={folder / 'hosts'}",
        f"dhcp-leasefile={folder / 'leases'}",
        f"pid-file={folder / 'pid'}",
        f"log-facility={folder / 'log'}",
        f"dhcp-option-force=option:mtu,{network.mtu}",
    ]
    served = [subnet for subnet in network.subnets if subnet.version == 4 and subnet.dhcp_address]
    for number, subnet in enumerate(served):
        lines += _range(f"s{number}", subnet)
    advertised = [subnet for subnet in network.subnets if subnet.version == 6 and subnet.ra_mode]
    if advertised:
        life_s = RA_LIFE_S if not network.external and any(subnet.gateway for subnet in advertised) else 0
        lines += ["enable-ra", f"ra-param={links.INNER},mtu:{network.mtu},{RA_EVERY_S},{life_s}"]
    for number, subnet in enumerate(advertised):
        lines += _range6(f"v{number}", subnet)
    return "\n".join(lines) + "\n"


def hosts(ports: Iterable[PortFacts]) -> str:
    """Return the file of who gets which address."""
    pairs = [
        (port.mac, ip.address if ip.version == 4 else f"[{ip.address}]")
        for port in ports
        for ip in port.fixed_ips
    ]
    return "".join(f"{mac},{address}\n" for mac, address in sorted(pairs))


def running(folder: Path) -> int | None:
    """Return the process that serves from this folder; without a fork."""
    try:
        pid = int((folder / "pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if str(folder / "dnsmasq.conf") in _command_of(pid) else None


def processes(within: Path) -> dict[int, str]:
    """Return every dnsmasq whose configuration lies within this folder, by process id, with that file's path."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            command = _command_of(int(entry.name))
            path = next((word for word in command.split("\0") if f"--conf-file={within}/" in word), None)
            if path is not None and "dnsmasq" in command:
                found[int(entry.name)] = path.partition("=")[2]
    return found


def stop(pid: int) -> None:
    """End a server and wait until it is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for word in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, word)
            if select.select([handle], [], [], STOP_S)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
    raise WiringFailed(f"dnsmasq, process {pid}, does not end")


def stop_all(folder: Path) -> None:
    """End every server of this network, also one that lost its pid file or is forking at this moment."""
    while found := processes(folder):
        for pid in found:
            stop(pid)


def _start(network: NetworkFacts, ports: Sequence[PortFacts]) -> None:
    folder = memory.folder_of(network)
    stop_all(folder)
    _drop_leases(folder, ports)
    run(
        [
            "nsenter",
            f"--net={links.NAMESPACES / network.namespace}",
            "dnsmasq",
            f"--conf-file={folder}/dnsmasq.conf",
        ]
    )


def _range6(tag: str, subnet: SubnetFacts) -> list[str]:
    """Return what makes guests take their addresses from DHCP, or make them of the prefix that is advertised."""
    cidr = ipaddress.IPv6Network(subnet.cidr)
    mode = {"slaac": "ra-only", "dhcpv6-stateless": "ra-stateless"}.get(str(subnet.ra_mode), "static")
    servers = ",".join(f"[{server}]" for server in subnet.dns if ":" in server)
    return [
        f"dhcp-range=set:{tag},{cidr.network_address},{mode},{cidr.prefixlen},{LEASE_S}s",
        *([f"dhcp-option=tag:{tag},option6:dns-server,{servers}"] if servers else []),
    ]


def _range(tag: str, subnet: SubnetFacts) -> list[str]:
    cidr = ipaddress.IPv4Network(subnet.cidr)
    routes = [word for route in subnet.routes for word in (route["destination"], route["nexthop"])]
    if routes and subnet.gateway:
        routes += ["0.0.0.0/0", subnet.gateway]  # a guest that reads option 121 does not read option 3
    option = f"dhcp-option=tag:{tag},option:"
    return [
        f"dhcp-range=set:{tag},{cidr.network_address},static,{cidr.netmask},{LEASE_S}s",
        option + ",".join(["router", *([subnet.gateway] if subnet.gateway else [])]),
        option + ",".join(["dns-server", *subnet.dns]),
        *([option + ",".join(["classless-static-route", *routes])] if routes else []),
    ]


def _in_the_way(folder: Path, ports: Iterable[PortFacts]) -> bool:
    """Tell whether an address was leased to an earlier port: dnsmasq would keep it from the present one."""
    owners = {ip.address: port.mac for port in ports for ip in port.fixed_ips}
    return any(owners.get(address, mac) != mac for mac, address, _ in _leases(folder))


def _drop_leases(folder: Path, ports: Iterable[PortFacts]) -> None:
    """Forget leases of earlier ports; those of IPv6, and the server's own name there, say no card, and stay."""
    owners = {ip.address: port.mac for port in ports for ip in port.fixed_ips}
    stale = {line for mac, address, line in _leases(folder) if owners.get(address) != mac}
    file = folder / "leases"
    lines = file.read_text().splitlines() if file.exists() else []
    file.write_text("".join(f"{line}\n" for line in lines if line not in stale))


def _leases(folder: Path) -> list[tuple[str, str, str]]:
    """Return card, address and line of each IPv4 lease; a line is `expiry mac address name client-id`."""
    try:
        lines = (folder / "leases").read_text().splitlines()
    except FileNotFoundError:
        return []
    fields = [(line.split(), line) for line in lines]
    return [(words[1], words[2], line) for words, line in fields if len(words) >= 3 and "." in words[2]]


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
