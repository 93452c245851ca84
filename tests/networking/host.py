"""A host's view for the tests of wiring: facts made by hand, guests played by namespaces, and a look from outside."""

import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

from networking import names
from networking.facts import FixedIp, NetworkFacts, PortFacts, RuleFacts, SubnetFacts, Surroundings
from networking.wiring import links, linux


def network_facts(tag: str, cidr: str = "10.0.0.0/24", **fields) -> NetworkFacts:
    """Return a network with one subnet: gateway .1, DHCP .2."""
    network_id = fields.pop("network_id", uuid4())
    called = names.network(tag, network_id)
    first_three = cidr.rpartition(".")[0]
    subnet = {
        "id": str(uuid4()),
        "version": 4,
        "cidr": cidr,
        "gateway": f"{first_three}.1",
        "dhcp_address": f"{first_three}.2",
        "dns": ["192.0.2.53"],
        "routes": [],
    }
    known = {*subnet, "ra_mode"}
    subnet |= {key: fields.pop(key) for key in list(fields) if key in known}
    network = {
        "id": str(network_id),
        "tag": tag,
        "bridge": called.bridge,
        "veth": called.veth,
        "namespace": called.namespace,
        "wire": called.wire,
        "external": False,
        "mtu": 1450,
    }
    return NetworkFacts(**(network | fields), subnets=[SubnetFacts(**subnet)])


def port_facts(network: NetworkFacts, last_octet: int, **fields) -> PortFacts:
    """Return a port with one address."""
    port_id: UUID = fields.pop("port_id", uuid4())
    subnet = network.subnets[0]
    address = f"{subnet.cidr.rpartition('.')[0]}.{last_octet}"
    port = {
        "port_id": str(port_id),
        "network_id": network.id,
        "network_name": "a network",
        "mac": names.mac(port_id),
        "fixed_ips": [FixedIp(address, subnet.id, 4, subnet.cidr, subnet.gateway)],
        "tap": names.tap(network.tag, port_id),
        "bridge": network.bridge,
        "mtu": network.mtu,
        "made_by_us": True,
        "dns": subnet.dns,
        "network": network,
        "groups": [OPEN],
    }
    return PortFacts(**(port | fields))


OPEN = "00000000-0000-0000-0000-00000000ffff"  # a group that lets everything pass


def open_around(_ports) -> Surroundings:
    """Return what surrounds ports whose group is open."""
    return Surroundings(
        groups={OPEN: [RuleFacts(way, version) for way in (True, False) for version in (4, 6)]}
    )


def connect(ports, look=open_around) -> None:
    """Connect ports as a host does, by default in the open group."""
    linux.connect(ports, look)


class Guest:
    """A namespace whose eth0 is a port: its other end carries the tap's name and lies in the bridge."""

    def __init__(self, port: PortFacts, folder: Path) -> None:
        self.port = port
        self.name = f"guest-{port.tap}"
        self.folder = folder

    def __enter__(self) -> "Guest":
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.port.tap, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run(
            "ip",
            "-n",
            self.name,
            "link",
            "set",
            "eth0",
            "address",
            self.port.mac,
            "mtu",
            str(self.port.mtu),
            "up",
        )
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        run("ip", "link", "set", self.port.tap, "master", self.port.bridge, "up")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "link", "del", self.port.tap], check=False, capture_output=True)
        run("ip", "netns", "del", self.name)

    def do(self, *command: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command in the guest."""
        return run("ip", "netns", "exec", self.name, *command, check=check)

    def start(self, program: str, *words: str) -> subprocess.Popen[str]:
        """Run a Python program in the guest meanwhile, told and heard by its pipes."""
        command = ["ip", "netns", "exec", self.name, sys.executable, "-c", program, *words]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def set_address(self, address: str | None = None) -> None:
        """Give the guest its address, or a forged one, without asking DHCP."""
        own = self.port.fixed_ips[0]
        self.do("ip", "addr", "add", f"{address or own.address}/24", "dev", "eth0", check=True)
        if own.gateway:
            self.do("ip", "route", "add", "default", "via", own.gateway)

    def lease(self, *, tries: int = 3) -> dict[str, str]:
        """Ask DHCP; returns what it said, by busybox's names, or nothing."""
        said = self.folder / f"{self.name}.lease"
        script = self.folder / "udhcpc.sh"
        script.write_text(
            '#!/bin/sh\n[ "$1" = bound ] || exit 0\nenv > "$SAID"\n'
            "ip addr add $ip/$mask dev $interface\n"
            '[ -z "$router" ] || ip route add default via $router\n'
        )
        script.chmod(0o755)
        options = ["-O", "staticroutes", "-O", "mtu", "-O", "lease"]
        self.do(
            "env", f"SAID={said}", "busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0",
            "-t", str(tries), "-T", "1", "-A", "0", "-s", str(script), *options,
        )  # fmt: skip
        if not said.exists():
            return {}
        return dict(line.split("=", 1) for line in said.read_text().splitlines() if "=" in line)

    def reaches(self, address: str) -> bool:
        """Tell whether the address answers a ping."""
        return self.do("busybox", "ping", "-c", "1", "-W", "1", address).returncode == 0

    def comes_to_reach(self, address: str) -> bool:
        """Tell whether the address answers one of five pings: a kernel tells a bridge only once a second of links."""
        return any(self.reaches(address) for _ in range(5))


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; returns it with its output as text."""
    return subprocess.run(command, check=check, capture_output=True, text=True)


def seen_from_outside(tag: str) -> dict[str, list[str]]:
    """Return every line about this installation that the host's own tools print."""
    commands = {
        "links": ["ip", "-o", "link"],
        "namespaces": ["ip", "netns"],
        "rules": ["nft", "list", "ruleset"],
        "processes": ["ps", "-eo", "args"],
        "routes": ["ip", "route"],
        "run": ["ls", "/run"],
    }
    ours = (f"cc{tag}", f"cc_{tag}", f"computecloud-{tag}")
    return {
        what: [line for line in run(*command).stdout.splitlines() if any(word in line for word in ours)]
        for what, command in commands.items()
    }


def inside(network: NetworkFacts, *command: str) -> str:
    """Return what a command prints in the network's namespace."""
    return run("nsenter", f"--net={links.NAMESPACES / network.namespace}", *command).stdout
