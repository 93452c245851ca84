"""Connecting and disconnecting ports on a Linux host.

A port is noted before anything is done for it, and a network is noted as whole after everything was. So whoever comes
after a killed process sees which ports count, and makes again what is not known to be whole. The rules of a port stand
before its network does. What surrounds the ports is read while the host's lock is held: so whoever comes last has read
last.
"""

from collections.abc import Callable, Iterable, Sequence

import structlog

from computecloud.config import CONFIG
from networking import names
from networking.facts import NetworkFacts, PortFacts, Surroundings
from networking.wiring import dhcp, links, memory, ruleset
from networking.wiring.commands import ip, nft
from networking.wiring.ruleset import HostRules

log = structlog.get_logger()
Look = Callable[[Sequence[PortFacts]], Surroundings]


def nothing_around(_ports: Sequence[PortFacts]) -> Surroundings:
    """Say that there are neither groups nor other hosts."""
    return Surroundings()


def connect(facts: Sequence[PortFacts], look: Look = nothing_around) -> None:
    """Have everything that the ports need, but their tap devices; raises WiringFailed."""
    tag = facts[0].network.tag
    with memory.locked(tag):
        _have(facts, look([*facts, *memory.naming(tag, facts)]))


def follow(tag: str, read: Callable[[], Sequence[PortFacts]], look: Look) -> bool:
    """Have those of the ports that are here as they are to be by now; raises WiringFailed.

    A port that is not here is not brought: whoever is about to connect it read what it is to be before it was noted.
    Returns False where there is such a port.
    """
    with memory.locked(tag):
        wanted = read()
        here = [port for port in wanted if memory.is_noted(port)]
        if here:
            _have(here, look(here))
        ip([f"link set {port.tap} {_up(port)}" for port in here if links.exists(port.tap)])
    return len(here) == len(wanted)


def disconnect(facts: Sequence[PortFacts]) -> None:
    """Remove what the ports had, and networks without further ports here; raises WiringFailed."""
    tag = facts[0].network.tag
    with memory.locked(tag):
        for port in facts:
            memory.forget_port(port)
        networks = [memory.as_made(network) or network for network in _networks(facts)]
        idle = [network for network in networks if not memory.ports(network)]
        for network in networks:
            if network in idle:
                memory.begin(network)
                dhcp.stop_all(memory.folder_of(network))
            elif memory.is_whole(network):
                dhcp.serve(network, memory.ports(network))
        links.unmake(idle, [port.tap for port in facts])
        apply_rules(tag)
        for network in idle:
            memory.forget_network(network)
            log.info("network.unwired", network_id=network.id)


def apply_rules(tag: str, around: Surroundings | None = None) -> Surroundings:
    """Have the rules of all ports that are here, and no others; to be called with the host's lock.

    Returns what surrounds them: what is given, and what was known before.
    """
    ports = memory.all_ports(tag)
    known = memory.surround(tag, around or Surroundings(), ports)
    if not ports:
        nft(ruleset.remove_tables(ruleset.tables(tag)))
        return known
    networks = [memory.as_made(network) or network for network in _networks(ports)]
    zones = {network.id: memory.zone_of(network) for network in networks if not network.external}
    nft(
        ruleset.whole(
            HostRules(
                tag=tag, web_port=CONFIG.web_port, networks=networks, ports=ports, zones=zones, around=known
            )
        )
    )
    return known


def _have(facts: Sequence[PortFacts], around: Surroundings) -> None:
    tag = facts[0].network.tag
    for port in facts:
        memory.remember_port(port)
    networks = _networks(facts)
    stale = [network for network in networks if memory.as_made(network) not in (None, network)]
    broken = [network for network in networks if not (memory.is_whole(network) and links.stand(network))]
    for network in networks:
        if network in stale or network in broken:
            memory.begin(network)
    known = apply_rules(tag, around)
    for network in networks:
        if network in stale or network in broken:
            _make(network)
        else:
            dhcp.serve(network, memory.ports(network))
        links.reach(network, known.peers.get(network.id, []))


def _make(network: NetworkFacts) -> None:
    if network.external:
        links.forward(names.folder(network.tag) / "ip_forward")
    links.note_namespaces(names.folder(network.tag) / "netns")
    dhcp.stop_all(memory.folder_of(network))  # it may listen in a namespace that is no more
    ports = memory.ports(network)
    links.make(network, [port.tap for port in ports])
    dhcp.serve(network, ports)
    memory.finish(network)
    log.info("network.wired", network_id=network.id)


def _up(port: PortFacts) -> str:
    return "up" if port.admin_up else "down"


def _networks(facts: Iterable[PortFacts]) -> list[NetworkFacts]:
    return list({port.network.id: port.network for port in facts}.values())
