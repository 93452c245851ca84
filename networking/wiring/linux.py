"""Connecting and disconnecting ports on a Linux host.

A port is noted before anything is done for it, and a network is noted as whole after everything was. So whoever comes
after a killed process sees which ports count, and makes again what is not known to be whole. The rules of a port stand
before its network does.
"""

from collections.abc import Iterable, Sequence

import structlog

from computecloud.config import CONFIG
from networking import names
from networking.facts import NetworkFacts, PortFacts
from networking.wiring import dhcp, links, memory, ruleset
from networking.wiring.commands import ip, nft

log = structlog.get_logger()


def connect(facts: Sequence[PortFacts]) -> None:
    """Have everything that the ports need, but their tap devices; raises WiringFailed."""
    tag = facts[0].network.tag
    with memory.locked(tag):
        for port in facts:
            memory.remember_port(port)
        networks = _networks(facts)
        earlier = [memory.as_made(network) for network in networks]
        stale = [old for old, new in zip(earlier, networks, strict=True) if old is not None and old != new]
        nft(
            ruleset.base(tag, CONFIG.web_port)
            + "".join(ruleset.remove_network(network) for network in stale)
            + "".join(ruleset.add_network(network) for network in networks)
            + "".join(ruleset.add_port(port) for port in facts)
        )
        for network in networks:
            if network in stale or not (memory.is_whole(network) and links.stand(network)):
                _make(network)
            else:
                dhcp.serve(network, memory.ports(network))


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
        taps = [f"link del {port.tap}" for port in facts if links.exists(port.tap)]
        ip(taps + [line for network in idle for line in links.unmake_lines(network)])
        _remove_rules(tag, [port.tap for port in facts], idle)
        for network in idle:
            memory.forget_network(network)
            log.info("network.unwired", network_id=network.id)


def _make(network: NetworkFacts) -> None:
    memory.begin(network)
    if network.external:
        links.forward(names.folder(network.tag) / "ip_forward")
    dhcp.stop_all(memory.folder_of(network))  # it may listen in a namespace that is no more
    ports = memory.ports(network)
    links.make(network, [port.tap for port in ports])
    dhcp.serve(network, ports)
    memory.finish(network)
    log.info("network.wired", network_id=network.id)


def _remove_rules(tag: str, taps: Iterable[str], idle: Iterable[NetworkFacts]) -> None:
    gone = {memory.folder_of(network) for network in idle}
    if gone >= set(memory.networks(tag)):
        nft(ruleset.remove_tables(ruleset.tables(tag)))
        return
    nft(
        ruleset.base(tag, CONFIG.web_port)
        + "".join(ruleset.remove_port(tag, tap) for tap in taps)
        + "".join(ruleset.remove_network(network) for network in idle)
    )


def _networks(facts: Iterable[PortFacts]) -> list[NetworkFacts]:
    return list({port.network.id: port.network for port in facts}.values())
