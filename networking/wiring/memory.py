"""What this host remembers of its wiring, in /run: it is lost when the host restarts, as the wiring is.

lock                       held by whoever changes anything
ip_forward                 there if it was we who made the host forward
netns                      there if the host's folder of namespaces came with ours
around.json                what surrounds the ports: their groups' rules, their members, other hosts
BRIDGE/zone                the network's conntrack zone
BRIDGE/network.json        the network's facts, written when all of it is there
BRIDGE/ports/TAP.json      the facts of each port whose guest is here
BRIDGE/dnsmasq.conf, hosts, leases, pid, log
"""

import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from networking import names
from networking.facts import NetworkFacts, PortFacts, Surroundings
from networking.wiring import commands

READABLE = 0o755  # dnsmasq reads its hosts again as its own user


@contextmanager
def locked(tag: str) -> Iterator[None]:
    """Be the only one on this host who changes the installation's wiring."""
    folder = names.folder(tag)
    while True:
        _make_folder(folder)
        try:
            lock = (folder / "lock").open("w")
        except FileNotFoundError:
            continue  # removed between the two lines
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_at(lock.fileno(), folder / "lock"):
                with commands.holding(lock.fileno()):
                    yield
                return


def write(path: Path, text: str) -> bool:
    """Have the file hold the text, at every moment all of the old or all of the new; False where it did already."""
    try:
        if path.read_text() == text:
            return False
    except FileNotFoundError:
        pass
    _make_folder(path.parent)
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)
    return True


def folder_of(network: NetworkFacts) -> Path:
    """Return the network's folder."""
    return names.folder(network.tag) / network.bridge


def remember_port(port: PortFacts) -> None:
    """Note that the port is here; before anything is done for it."""
    write(_port_file(port.network, port.tap), json.dumps(dataclasses.asdict(port)))


def is_noted(port: PortFacts) -> bool:
    """Tell whether the port is here."""
    return _port_file(port.network, port.tap).exists()


def all_ports(tag: str) -> list[PortFacts]:
    """Return every port that is here."""
    return [port for folder in networks(tag) for port in ports_in(folder)]


def zone_of(network: NetworkFacts) -> int:
    """Return the network's conntrack zone: a number that no other network here has, kept while it is here."""
    file = folder_of(network) / "zone"
    if not file.exists():
        taken = {int(other.read_text()) for other in names.folder(network.tag).glob("*/zone")}
        write(file, str(next(zone for zone in range(1, 2**16) if zone not in taken)))
    return int(file.read_text())


def surround(tag: str, around: Surroundings, ports: Iterable[PortFacts]) -> Surroundings:
    """Keep what surrounds some ports beside what was known of others, without what none of these has any more."""
    known = _around(tag)
    present = list(ports)
    used = {group for port in present for group in port.groups}
    bridged = {port.network_id for port in present}
    groups = {key: rules for key, rules in {**known.groups, **around.groups}.items() if key in used}
    named = {rule.group for rules in groups.values() for rule in rules}
    members = {key: ips for key, ips in {**known.members, **around.members}.items() if key in named}
    peers = {key: ips for key, ips in {**known.peers, **around.peers}.items() if key in bridged}
    merged = Surroundings(groups, members, peers)
    write(_around_file(tag), msgspec.json.encode(merged).decode())
    return merged


def naming(tag: str, newcomers: Iterable[PortFacts]) -> list[PortFacts]:
    """Return ports that are here whose rules name a group of the newcomers, where theirs do not name it themselves."""
    theirs = {group for port in newcomers for group in port.groups}
    by_rule = {
        key for key, rules in _around(tag).groups.items() if any(rule.group in theirs for rule in rules)
    }
    others = by_rule - theirs
    return [port for port in all_ports(tag) if not others.isdisjoint(port.groups)] if others else []


def _around(tag: str) -> Surroundings:
    try:
        return msgspec.json.decode(_around_file(tag).read_bytes(), type=Surroundings)
    except FileNotFoundError:
        return Surroundings()


def _around_file(tag: str) -> Path:
    return names.folder(tag) / "around.json"


def forget_port(port: PortFacts) -> None:
    """Forget the port; after this its network may go."""
    _port_file(port.network, port.tap).unlink(missing_ok=True)


def ports(network: NetworkFacts) -> list[PortFacts]:
    """Return the ports of a network that are here."""
    return ports_in(folder_of(network))


def ports_in(folder: Path) -> list[PortFacts]:
    """Return the ports noted in a network's folder."""
    return [
        msgspec.json.decode(file.read_bytes(), type=PortFacts) for file in sorted(folder.glob("ports/*.json"))
    ]


def begin(network: NetworkFacts) -> None:
    """Note that the network is being made, or taken apart."""
    write(folder_of(network) / "network.json", _text(network))
    (folder_of(network) / "whole").unlink(missing_ok=True)


def finish(network: NetworkFacts) -> None:
    """Note that all of the network is there."""
    (folder_of(network) / "whole").touch()


def is_whole(network: NetworkFacts) -> bool:
    """Tell whether the network was made to the end."""
    return (folder_of(network) / "whole").exists()


def as_made(network: NetworkFacts) -> NetworkFacts | None:
    """Return the facts with which the network was last made, or begun, on this host."""
    return network_in(folder_of(network))


def network_in(folder: Path) -> NetworkFacts | None:
    """Return the facts of the network in a folder."""
    try:
        return msgspec.json.decode((folder / "network.json").read_bytes(), type=NetworkFacts)
    except FileNotFoundError:
        return None


def forget_network(network: NetworkFacts) -> None:
    """Forget the network with all its files."""
    shutil.rmtree(folder_of(network), ignore_errors=True)


def networks(tag: str) -> list[Path]:
    """Return the folders of the networks that are here."""
    folder = names.folder(tag)
    return sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.exists() else []


def _port_file(network: NetworkFacts, tap: str) -> Path:
    return folder_of(network) / "ports" / f"{tap}.json"


def _text(network: NetworkFacts) -> str:
    return json.dumps(dataclasses.asdict(network))


def _make_folder(folder: Path) -> None:
    """Make the folder and what it lies in, readable whatever the umask is."""
    if not folder.exists():
        if folder.parent != Path("/run"):
            _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(READABLE)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
