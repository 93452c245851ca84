"""The nftables text: who may send what from which port, and the public network's way out.

Two tables carry the installation's name. In the bridge family each port has a chain of its own, found by the name of
its tap device, so it stands before the device does: only the port's hardware address, its IP addresses and questions
to DHCP servers come through, and nothing of a tenant's network reaches the host. In the inet family the guests of
external networks are translated on their way out, may ask the host for little more than the cloud's own API, and do
not reach link-local addresses behind it: there the host's own cloud, if it has one, answers for the host.
Every script may be applied again and again: what is declared is there, what is removed is gone.
"""

import ipaddress
from collections.abc import Iterable

from networking import names
from networking.facts import NetworkFacts, PortFacts


def base(tag: str, web_port: int) -> str:
    """Return the script that declares the tables with all that does not depend on networks and ports."""
    table = names.table(tag)
    return f"""
table bridge {table} {{
  set tenants {{ type ifname; }}
  map ports {{ type ifname : verdict; }}
  chain from_ports {{ type filter hook prerouting priority -300; policy accept; }}
  chain to_host {{ type filter hook input priority 0; policy accept; }}
  chain from_host {{ type filter hook output priority 0; policy accept; }}
}}
flush chain bridge {table} from_ports
flush chain bridge {table} to_host
flush chain bridge {table} from_host
add rule bridge {table} from_ports iifname vmap @ports
add rule bridge {table} to_host iifname @tenants drop
add rule bridge {table} from_host oifname @tenants drop
table inet {table} {{
  set tenants {{ type ifname; }}
  set external {{ type ifname; }}
  set external_v4 {{ type ipv4_addr; flags interval; }}
  chain untracked {{ type filter hook prerouting priority raw; policy accept; }}
  chain to_host {{ type filter hook input priority filter; policy accept; }}
  chain from_guests {{ }}
  chain passing {{ type filter hook forward priority mangle; policy accept; }}
  chain leaving {{ type nat hook postrouting priority srcnat; policy accept; }}
}}
flush chain inet {table} untracked
flush chain inet {table} to_host
flush chain inet {table} from_guests
flush chain inet {table} passing
flush chain inet {table} leaving
add rule inet {table} untracked iifname @tenants notrack
add rule inet {table} to_host iifname @external jump from_guests
add rule inet {table} from_guests ct state established,related accept
add rule inet {table} from_guests ip protocol icmp accept
add rule inet {table} from_guests tcp dport {web_port} accept
add rule inet {table} from_guests drop
add rule inet {table} passing iifname @external ip daddr 169.254.0.0/16 drop
add rule inet {table} passing oifname @external tcp flags syn / syn,rst tcp option maxseg size set rt mtu
add rule inet {table} passing iifname @external tcp flags syn / syn,rst tcp option maxseg size set rt mtu
add rule inet {table} leaving oifname != @external ip saddr @external_v4 ip daddr != @external_v4 masquerade
"""


def add_network(network: NetworkFacts) -> str:
    """Return the script that tells the rules of a network's bridge."""
    return "".join(f"add element {element}\n" for element in _elements(network))


def remove_network(network: NetworkFacts) -> str:
    """Return the script that makes the rules forget a network's bridge; to be applied behind base."""
    return add_network(network) + "".join(f"delete element {element}\n" for element in _elements(network))


def add_port(port: PortFacts) -> str:
    """Return the script that gives a port its chain and sends its frames through it."""
    table, chain = names.table(port.network.tag), port.tap
    rules = _rules(port) if port.anti_spoofing else ["accept"]
    return "\n".join(
        [
            f"add chain bridge {table} {chain}",
            f"flush chain bridge {table} {chain}",
            *(f"add rule bridge {table} {chain} {rule}" for rule in rules),
            f'add element bridge {table} ports {{ "{port.tap}" : jump {chain} }}',
            *([] if port.network.external else [f"add element {_tenant(table, port.tap)}"]),
            "",
        ]
    )


def remove_port(tag: str, tap: str) -> str:
    """Return the script that removes a port's chain; to be applied behind base."""
    table = names.table(tag)
    element = f'element bridge {table} ports {{ "{tap}" : jump {tap} }}'
    tenant = _tenant(table, tap)
    return (
        f"add chain bridge {table} {tap}\nadd {element}\ndelete {element}\n"
        f"add element {tenant}\ndelete element {tenant}\n"
        f"flush chain bridge {table} {tap}\ndelete chain bridge {table} {tap}\n"
    )


def tables(tag: str) -> tuple[str, str]:
    """Return the installation's tables as nft names them, by family and name."""
    return f"bridge {names.table(tag)}", f"inet {names.table(tag)}"


def remove_tables(named: Iterable[str]) -> str:
    """Return the script that removes these tables with all in them."""
    return "".join(f"add table {table}\ndelete table {table}\n" for table in named)


def _elements(network: NetworkFacts) -> Iterable[str]:
    table = names.table(network.tag)
    if not network.external:
        yield _tenant(table, network.veth)
        yield f'inet {table} tenants {{ "{network.bridge}" }}'
        return
    yield f'inet {table} external {{ "{network.bridge}" }}'
    for subnet in network.subnets:
        if subnet.version == 4:
            yield f"inet {table} external_v4 {{ {subnet.cidr} }}"


def _tenant(table: str, bridge_port: str) -> str:
    """Return the element that keeps the host and a tenant's bridge apart at one of the bridge's ports."""
    return f'bridge {table} tenants {{ "{bridge_port}" }}'


def _rules(port: PortFacts) -> list[str]:
    v4 = [ip.address for ip in port.fixed_ips if ip.version == 4]
    v6 = [ip.address for ip in port.fixed_ips if ip.version == 6]
    own_v6 = [_link_local(port.mac), *v6]
    return [
        f"ether saddr != {port.mac} drop",
        f"arp saddr ether != {port.mac} drop",
        f"arp operation {{ request, reply }} arp saddr ip {_set([*v4, '0.0.0.0'])} accept",  # noqa: S104
        f"ip saddr {_set([*v4, '0.0.0.0'])} udp sport 68 udp dport 67 accept",  # noqa: S104
        "ip protocol udp udp sport 67 drop",
        *([f"ip saddr {_set(v4)} accept"] if v4 else []),
        "icmpv6 type nd-router-advert drop",
        "ip6 nexthdr udp udp sport 547 drop",
        f"icmpv6 type nd-neighbor-advert @th,64,128 != {_set([_hex(address) for address in own_v6])} drop",
        f"ip6 saddr {_set([*own_v6, '::'])} accept",
        "drop",
    ]


def _set(values: Iterable[str]) -> str:
    return "{ " + ", ".join(dict.fromkeys(values)) + " }"


def _hex(address: str) -> str:
    return f"0x{int(ipaddress.IPv6Address(address)):032x}"


def _link_local(mac: str) -> str:
    """Return the address that a guest gives itself on its link (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + identifier))
