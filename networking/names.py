"""Names on a host, all derived from ids: unique, at most 15 characters, and recognisable as this installation's.

A name is `cc`, the installation's tag (3 characters), one letter for the kind, and 45 bits of the id's digest in
base 32 (9 characters). So doctor and purge find what is ours by its first 5 characters, two installations on one
machine do not meet, and a host that lost its memory makes the same names again.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

PREFIX = "cc"
TAG_LENGTH = 3


def _digest(data: bytes, length: int) -> str:
    return base64.b32encode(hashlib.blake2b(data, digest_size=10).digest()).decode().lower()[:length]


def tag_of(folder: str) -> str:
    """Return the tag of an installation that keeps its state in folder."""
    return _digest(str(Path(folder).resolve()).encode(), TAG_LENGTH)


def tap(tag: str, port_id: UUID) -> str:
    """Return the name of a port's tap device."""
    return f"{PREFIX}{tag}t{_digest(port_id.bytes, 9)}"


@dataclass(frozen=True, slots=True)
class NetworkNames:
    """What a network's things are called on every host."""

    bridge: str
    veth: str  # the end in the bridge; the other end is eth0 in the namespace
    namespace: str
    wire: str  # the VXLAN device, by which the bridge meets those of other hosts


def network(tag: str, network_id: UUID) -> NetworkNames:
    """Return the names of a network's things."""
    digest = _digest(network_id.bytes, 9)
    return NetworkNames(*(f"{PREFIX}{tag}{kind}{digest}" for kind in "bvnx"))


def table(tag: str) -> str:
    """Return the name of the installation's nftables tables."""
    return f"{PREFIX}_{tag}"


def folder(tag: str) -> Path:
    """Return the folder of what wiring must remember until the host restarts.

    It is not in the state folder: dnsmasq reads its hosts again as a user of its own, who may not enter, say, /root.
    """
    return Path("/run") / f"computecloud-{tag}"


def mac(thing_id: UUID, salt: int = 0) -> str:
    """Return a locally administered unicast address with 40 bits of the id's digest; salt gives another one.

    Its first octet is fa, as tenants know it from other clouds; fe is what libvirt gives to tap devices.
    """
    digest = hashlib.blake2b(thing_id.bytes + bytes([salt]), digest_size=5, person=b"mac").hexdigest()
    return ":".join(["fa", *(digest[i : i + 2] for i in range(0, 10, 2))])
