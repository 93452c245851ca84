"""What of ours is on this host, found by its names alone: for doctor and for removing an installation."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from networking import names
from networking.wiring import dhcp, links, linux, memory, ruleset
from networking.wiring.commands import nft, run


@dataclass(frozen=True, slots=True)
class Thing:
    """Something on the host: a link, namespace, table, chain, dnsmasq (by its bridge), folder (likewise) or note.

    A note is the file that says that a port, named by its tap device, is here.
    """

    kind: str
    name: str


def present(tag: str) -> list[Thing]:
    """Return everything on this host that carries the installation's names."""
    prefix = names.PREFIX + tag
    folders = memory.networks(tag)
    found = [Thing("link", link.name) for link in links.LINKS.iterdir() if link.name.startswith(prefix)]
    if links.NAMESPACES.exists():
        found += [Thing("namespace", e.name) for e in links.NAMESPACES.iterdir() if e.name.startswith(prefix)]
    found += {Thing("dnsmasq", Path(conf).parent.name) for conf in dhcp.processes(names.folder(tag)).values()}
    found += [Thing("folder", folder.name) for folder in folders]
    found += [Thing("note", note.stem) for folder in folders for note in folder.glob("ports/*.json")]
    return sorted(found + _rules(tag), key=lambda thing: (thing.kind, thing.name))


def wanted(tag: str, ports: Iterable[tuple[UUID, UUID]]) -> set[Thing]:
    """Return everything that is to be here for these ports, each given as (port id, network id)."""
    things: set[Thing] = set()
    for port_id, network_id in ports:
        things |= {Thing("table", table) for table in ruleset.tables(tag)}
        tap, called = names.tap(tag, port_id), names.network(tag, network_id)
        things |= {Thing("link", tap), Thing("chain", tap), Thing("note", tap)}
        things |= {
            Thing("link", called.bridge),
            Thing("link", called.veth),
            Thing("link", called.wire),  # as long as there are other hosts
            Thing("namespace", called.namespace),
        }
        things |= {Thing("dnsmasq", called.bridge), Thing("folder", called.bridge)}
    return things


def remove(tag: str, things: Iterable[Thing]) -> None:
    """Remove these things; what is gone already is no error. Raises WiringFailed."""
    by_kind: dict[str, list[Thing]] = {}
    for thing in things:
        by_kind.setdefault(thing.kind, []).append(thing)
    with memory.locked(tag):
        for thing in by_kind.get("dnsmasq", []):
            dhcp.stop_all(names.folder(tag) / thing.name)
        gone = {kind: [thing.name for thing in by_kind.get(kind, [])] for kind in ("link", "namespace")}
        links.remove(gone["link"], gone["namespace"])
        for thing in by_kind.get("note", []):
            for note in names.folder(tag).glob(f"*/ports/{thing.name}.json"):
                note.unlink(missing_ok=True)
        folders = [names.folder(tag) / thing.name for thing in by_kind.get("folder", [])]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        if by_kind.keys() & {"table", "chain", "note", "folder"}:
            linux.apply_rules(tag)
        nft(ruleset.remove_tables(thing.name for thing in by_kind.get("table", [])))


def remove_all(tag: str) -> list[Thing]:
    """Remove everything that the installation has on this host, and have it forward as before; returns what was there.

    Guests must be gone: their cards would hang in the air.
    """
    there = present(tag)
    remove(tag, there)
    folder = names.folder(tag)
    with memory.locked(tag):
        others = [
            other for other in folder.parent.glob("computecloud-*") if other != folder and other.is_dir()
        ]
        links.stop_forwarding(folder / "ip_forward", others)
        links.remove_namespaces(folder / "netns", others)
        shutil.rmtree(folder)
    return there


def _rules(tag: str) -> list[Thing]:
    if shutil.which("nft") is None:
        return []
    ours, prefix = ruleset.tables(tag), names.PREFIX + tag
    listed = json.loads(run(["nft", "-j", "list", "ruleset"]))["nftables"]
    tables = [f"{item['table']['family']} {item['table']['name']}" for item in listed if "table" in item]
    chains = [item["chain"]["name"] for item in listed if "chain" in item]
    found = [Thing("table", table) for table in tables if table in ours]
    named = {chain.partition("_")[0] for chain in chains if chain.startswith(prefix)}
    return found + [Thing("chain", chain) for chain in sorted(named)]
