"""The nftables text of a host: who may send what from which port, who may reach it, and the public network's way out.

All of it is generated anew from what the host remembers, and replaces what was there in one transaction: applied twice
it leaves what it leaves when applied once, and what is not in it is gone.

Two tables carry the installation's name. The bridge family holds the rules: each port has chains of its own, found by
the name of its tap device, so they stand before the device does. It knows no connections, though, where its kernel
module is missing; so the inet family, which bridged packets pass because our bridges ask
for it (nf_call_iptables), tells it by the packet's mark whether a packet is an answer. Each network is a conntrack zone
of its own, since two may have the same addresses; external networks share the host's, where addresses are translated.
What is no answer is judged by the rules of the moment, packet by packet: a rule that goes cuts what it let in.

In the inet family the guests of external networks are translated on their way out, may ask the host for little more
than the cloud's own API, and do not reach link-local addresses behind it: there the host's own cloud, if it has one,
answers for the host.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from networking import names
from networking.facts import NetworkFacts, PortFacts, Surroundings
from networking.wiring import portrules
from networking.wiring.portrules import ANSWER, BROKEN

VXLAN_PORT = 4789


@dataclass(frozen=True, slots=True)
class HostRules:
    """All that a host's rules follow from."""

    tag: str
    web_port: int
    networks: Sequence[NetworkFacts] = ()
    ports: Sequence[PortFacts] = ()
    zones: dict[str, int] = field(default_factory=dict)  # of conntrack, by network; external ones have none
    around: Surroundings = field(default_factory=Surroundings)


def whole(rules: HostRules) -> str:
    """Return the script that replaces all of the installation's rules on this host."""
    bridge, inet = tables(rules.tag)
    return (
        remove_tables([bridge, inet])
        + f"table {bridge} {{\n{_bridge(rules)}}}\n"
        + f"table {inet} {{\n{_inet(rules)}}}\n"
    )


def tables(tag: str) -> tuple[str, str]:
    """Return the installation's tables as nft names them, by family and name."""
    return f"bridge {names.table(tag)}", f"inet {names.table(tag)}"


def remove_tables(named: Iterable[str]) -> str:
    """Return the script that removes these tables with all in them."""
    return "".join(f"add table {table}\ndelete table {table}\n" for table in named)


def _bridge(rules: HostRules) -> str:
    tenants = [network for network in rules.networks if not network.external]
    apart = {tap: "drop" for port in rules.ports if not port.network.external for tap in [port.tap]}
    apart |= {network.veth: "drop" for network in tenants}
    wires = {network.wire: "drop" for network in rules.networks if network.wire}
    ports = rules.ports
    guarded = [port for port in ports if port.anti_spoofing or not port.admin_up]
    used = sorted({group for port in guarded for group in port.groups})
    around = rules.around
    return "".join(
        [
            portrules.members(around, used),
            *(portrules.group(around, group_id) for group_id in used),
            *(portrules.port(port) for port in ports),
            _chain("from_ports", "type filter hook prerouting priority -300", _by_name("iifname", ports, "")),
            _chain(
                "to_services",
                "type filter hook forward priority -220",
                _only_plain(sorted(network.veth for network in rules.networks)),
            ),
            _chain("sent", "type filter hook forward priority -210", _by_name("iifname", guarded, "_out")),
            _chain("received", "type filter hook forward priority -200", _by_name("oifname", guarded, "_in")),
            _chain(
                "to_host",
                "type filter hook input priority 0",
                [*_verdicts("iifname", apart | wires), *_by_name("iifname", guarded, "_out")],
            ),
            _chain(
                "from_host",
                "type filter hook output priority 0",
                [*_verdicts("oifname", apart | wires), *_by_name("oifname", guarded, "_in")],
            ),
        ]
    )


def _inet(rules: HostRules) -> str:
    external = [network.bridge for network in rules.networks if network.external]
    ranges = [
        s.cidr for network in rules.networks if network.external for s in network.subnets if s.version == 4
    ]
    ours = sorted(network.bridge for network in rules.networks)
    zones = [
        f'iifname "{network.bridge}" ct zone set {rules.zones[network.id]}'
        for network in rules.networks
        if network.id in rules.zones
    ]
    wire = sorted({peer for peers in rules.around.peers.values() for peer in peers})
    return "".join(
        [
            _names("ours", ours),
            _names("external", external),
            _chain("zones", "type filter hook prerouting priority raw", zones),
            _chain("bridged", "type filter hook prerouting priority mangle", ["iifname @ours jump mark_state"]),
            _chain("routed", "type filter hook postrouting priority mangle", ["oifname @external jump mark_state"]),
            _plain("mark_state", [
                "meta mark set 0",
                f"ct state invalid meta mark set {BROKEN}",
                f"ct state established ct direction reply meta mark set {ANSWER}",
                f"ct state related meta mark set {ANSWER}",
            ]),
            _plain("from_guests", [
                "ct state established,related accept",
                "ip protocol icmp accept",
                f"tcp dport {rules.web_port} accept",
                "drop",
            ]),
            _chain("to_host", "type filter hook input priority filter", [
                "iifname @external jump from_guests",
                *([f"udp dport {VXLAN_PORT} ip saddr != {portrules.inline(wire)} drop"] if wire else []),
            ]),
            _chain("passing", "type filter hook forward priority mangle", [
                "iifname @external oifname != @external ip daddr 169.254.0.0/16 drop",
                "oifname @external tcp flags syn / syn,rst tcp option maxseg size set rt mtu",
                "iifname @external tcp flags syn / syn,rst tcp option maxseg size set rt mtu",
            ]),
            _chain("leaving", "type nat hook postrouting priority srcnat", [
                f"oifname != @external ip saddr {portrules.inline(ranges)} ip daddr != {portrules.inline(ranges)} "
                "masquerade"
            ] if ranges else []),
        ]
    )  # fmt: skip


def _chain(name: str, hook: str, lines: Iterable[str]) -> str:
    return _plain(name, [f"{hook}; policy accept;", *lines])


def _plain(name: str, lines: Iterable[str]) -> str:
    return "  chain " + name + " {\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"


def _names(name: str, links: Sequence[str]) -> str:
    elements = "elements = { " + ", ".join(f'"{link}"' for link in links) + " }" if links else ""
    return f"  set {name} {{ type ifname; {elements} }}\n"


def _only_plain(services: Sequence[str]) -> list[str]:
    """Return what keeps frames in several tags from a namespace: the kernel would unpack what no rule has looked at."""
    if not services:
        return []
    links = ", ".join(f'"{link}"' for link in services)
    return [f"oifname {{ {links} }} meta protocol != {{ arp, ip, ip6 }} drop"]


def _by_name(which: str, ports: Iterable[PortFacts], suffix: str) -> list[str]:
    """Return the rule that sends a packet to the chain of its port."""
    return _verdicts(which, {port.tap: f"jump {port.tap}{suffix}" for port in ports})


def _verdicts(which: str, verdicts: dict[str, str]) -> list[str]:
    if not verdicts:
        return []
    return [
        f"{which} vmap {{ " + ", ".join(f'"{link}" : {verdict}' for link, verdict in verdicts.items()) + " }"
    ]
