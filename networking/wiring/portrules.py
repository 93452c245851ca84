"""The chains of one port, and those of the security groups that ports share, as lines for nft.

A port has three: what it may send at all (its own addresses, no serving of DHCP, no router advertisements), what its
groups let out, and what they let in. A group's rules of the same ports are one line with all their ranges, so that a
thousand addresses, or a thousand ports, are one look-up.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Sequence

from networking import metadata_address
from networking.addressing import link_local
from networking.facts import PortFacts, RuleFacts, Surroundings
from networking.protocols import ICMP, ICMPV6, WITH_PORTS

ANSWER, BROKEN = 1, 2  # marks: an answer to what was let pass, or related to it; a packet of no connection
ND_OUT = "{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report }"
ND_IN = "{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query }"
_Ports = tuple[tuple[int, int], ...]


def inline(values: Iterable[str]) -> str:
    """Return an anonymous set of these, each once."""
    return "{ " + ", ".join(dict.fromkeys(values)) + " }"


def chain(name: str, lines: Iterable[str]) -> str:
    """Return a chain that other chains jump to."""
    return f"  chain {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"


def port(facts: PortFacts) -> str:
    """Return a port's chains."""
    if not facts.admin_up:
        return "".join(chain(facts.tap + suffix, ["drop"]) for suffix in ("", "_out", "_in"))
    if not facts.anti_spoofing:
        return chain(facts.tap, [_asks_as_itself(facts), "accept"])
    out = [f"jump {group_chain(group_id)}_out" for group_id in facts.groups]
    let_in = [f"jump {group_chain(group_id)}_in" for group_id in facts.groups]
    return (
        chain(facts.tap, own_addresses(facts))
        + chain(f"{facts.tap}_out", [*_always_out(), *out, "drop"])
        + chain(f"{facts.tap}_in", [*_always_in(), *let_in, "drop"])
    )


def group_chain(group_id: str) -> str:
    """Return what a group's chains and sets begin with."""
    return "g" + group_id.replace("-", "")


def group(around: Surroundings, group_id: str) -> str:
    """Return a group's two chains; one that the host knows nothing of lets nothing pass."""
    rules = around.groups.get(group_id, [])
    return "".join(
        chain(
            group_chain(group_id) + ("_in" if ingress else "_out"),
            _lines([rule for rule in rules if rule.ingress == ingress], "saddr" if ingress else "daddr"),
        )
        for ingress in (True, False)
    )


def members(around: Surroundings, group_ids: Iterable[str]) -> str:
    """Return the sets of addresses that the rules of these groups name."""
    named = sorted(
        {rule.group for group_id in group_ids for rule in around.groups.get(group_id, []) if rule.group}
    )
    text = ""
    for group_id in named:
        for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
            ranges = collapse(around.members.get(group_id, []), version)
            elements = f" elements = {inline(ranges)}" if ranges else ""
            text += f"  set {group_chain(group_id)}_{version} {{ type {kind}; flags interval;{elements} }}\n"
    return text


def collapse(ranges: Iterable[str], version: int) -> list[str]:
    """Return these addresses and ranges of one IP version without overlaps, as nft wants intervals."""
    networks = [
        network for text in ranges if (network := ipaddress.ip_network(text, strict=False)).version == version
    ]
    return [str(network) for network in ipaddress.collapse_addresses(networks)]  # type: ignore[type-var]


def own_addresses(facts: PortFacts) -> list[str]:
    """Return what a port may send: by its own addresses and its allowed pairs alone."""
    by_mac: dict[str, list[str]] = defaultdict(list)
    by_mac[facts.mac] = [ip.address for ip in facts.fixed_ips]
    for pair in facts.pairs:
        by_mac[pair.mac].append(pair.cidr)
    macs = inline(by_mac)
    lines = [
        f"ether saddr != {macs} drop",
        f"arp saddr ether != {macs} drop",
        "ip protocol udp udp sport 67 drop",
        "meta protocol ip6 udp sport 547 drop",
        "icmpv6 type { nd-router-advert, nd-redirect } drop",
        _asks_as_itself(facts),
    ]
    for mac, addresses in by_mac.items():
        lines += _from(mac, collapse(addresses, 4), collapse([*addresses, link_local(mac)], 6))
    return [*lines, "drop"]


def _asks_as_itself(facts: PortFacts) -> str:
    """Return what makes an address that the metadata service sees name one port: no other can ask by it.

    It holds for ports without port security too, and for what their allowed pairs let them send elsewhere.
    """
    own = [ip.address for ip in facts.fixed_ips if ip.version == 4]
    senders = f" ip saddr != {inline(own)}" if own else ""
    return f"ip daddr {metadata_address.ADDRESS}{senders} drop"


def _from(mac: str, v4: Sequence[str], v6: Sequence[str]) -> list[str]:
    card = f"ether saddr {mac}"
    senders = inline([*v4, *([] if _all(v4) else ["0.0.0.0"])])  # noqa: S104 — who asks for an address has none
    lines = [
        f"{card} arp operation {{ request, reply }} arp saddr ip {senders} accept",
        f"{card} ip saddr {senders} udp sport 68 udp dport 67 accept",
        *([f"{card} ip saddr {inline(v4)} accept"] if v4 else []),
    ]
    if not _all(v6):
        lines.append(f"{card} icmpv6 type nd-neighbor-advert @th,64,128 != {inline(map(_hex, v6))} drop")
    unspecified = [] if _all(v6) else ["::"]
    return [*lines, f"{card} ip6 saddr {inline([*v6, *unspecified])} accept"]


def _all(ranges: Sequence[str]) -> bool:
    return any(text.endswith("/0") for text in ranges)


def _hex(text: str) -> str:
    """Return a range as nft compares it with raw bytes of a packet."""
    network = ipaddress.IPv6Network(text)
    first, last = int(network[0]), int(network[-1])
    return f"0x{first:032x}" if first == last else f"0x{first:032x}-0x{last:032x}"


def _always_out() -> list[str]:
    """Return what a guest may always send: questions for its addresses, its neighbours, and itself."""
    return [
        f"meta mark {ANSWER} accept",
        f"meta mark {BROKEN} drop",
        "meta protocol arp accept",
        "udp sport 68 udp dport 67 accept",
        f"ip daddr {metadata_address.ADDRESS} tcp dport {metadata_address.PORT} accept",
        "meta protocol ip6 udp sport 546 udp dport 547 accept",
        f"icmpv6 type {ND_OUT} accept",
    ]


def _always_in() -> list[str]:
    return [
        f"meta mark {ANSWER} accept",
        f"meta mark {BROKEN} drop",
        "meta protocol arp accept",
        "meta protocol ip udp sport 67 udp dport 68 accept",
        "meta protocol ip6 udp sport 547 udp dport 546 accept",
        f"icmpv6 type {ND_IN} accept",
    ]


def _lines(rules: Iterable[RuleFacts], side: str) -> list[str]:
    """Return the lines of rules of one direction; `side` is where the remote address stands in a packet."""
    ports_of: dict[tuple[int, int | None, str], list[tuple[int, int]]] = defaultdict(list)
    plain: list[str] = []
    for rule in rules:
        remote = f"@{group_chain(rule.group)}_{rule.version}" if rule.group else rule.prefix or ""
        if rule.protocol in WITH_PORTS and rule.low is not None and rule.high is not None:
            ports_of[rule.version, rule.protocol, remote].append((rule.low, rule.high))
        else:
            plain.append(_line(rule.version, side, remote, _icmp(rule)))
    ranges_of: dict[tuple[int, int | None, _Ports], list[str]] = defaultdict(list)
    for (version, protocol, remote), ports in ports_of.items():
        merged = _merged(ports)
        if remote.startswith("@") or not remote:
            plain.append(_line(version, side, remote, _on_ports(protocol, merged)))
        else:
            ranges_of[version, protocol, merged].append(remote)
    for (version, protocol, merged), prefixes in ranges_of.items():
        plain.append(_line(version, side, inline(collapse(prefixes, version)), _on_ports(protocol, merged)))
    return list(dict.fromkeys(plain))


def _line(version: int, side: str, remote: str, rest: str) -> str:
    family = "ip" if version == 4 else "ip6"
    where = f"{family} {side} {remote}" if remote and "/0" not in remote else f"meta protocol {family}"
    return " ".join(part for part in (where, rest, "accept") if part)


def _icmp(rule: RuleFacts) -> str:
    if rule.protocol is None:
        return ""
    if rule.protocol not in (ICMP, ICMPV6) or rule.low is None:
        return f"meta l4proto {rule.protocol}"
    name = "icmp" if rule.protocol == ICMP else "icmpv6"
    return f"{name} type {rule.low}" + ("" if rule.high is None else f" {name} code {rule.high}")


def _on_ports(protocol: int | None, ports: _Ports) -> str:
    listed = inline(str(low) if low == high else f"{low}-{high}" for low, high in ports)
    return f"meta l4proto {protocol} th dport {listed}"


def _merged(ports: Iterable[tuple[int, int]]) -> _Ports:
    """Return the ranges in order, those that meet or overlap as one."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ports):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)
