"""EC2's tree: what there is at its versions, as nested names and texts.

Source of the keys, and of the version that each came with: the EC2-compatible metadata of OpenStack Compute.
"""

from collections.abc import Mapping
from typing import Any

from instances.metadata.facts import Told

VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
)
LATEST = "latest"
SHOWN_AS = "_name"  # what stands for a folder in the list above it, where that is not its own name

Node = Mapping[str, "Node"] | list[str] | str | bytes


def numbered(version: str) -> str | None:
    """Return the version that is meant; None where there is no such one."""
    return VERSIONS[-1] if version == LATEST else version if version in VERSIONS else None


def tree(told: Told, version: str) -> dict[str, Node]:
    """Return all that a version has for this guest."""
    found: dict[str, Node] = {"meta-data": meta_data(told, version)}
    if told.user_data is not None:
        found["user-data"] = told.user_data
    return found


def meta_data(told: Told, version: str) -> dict[str, Any]:
    """Return the folder meta-data; also the content of a config drive's meta-data.json."""
    since = VERSIONS.index
    at = since(version)
    addresses = [ip.address for port in told.ports for ip in port.fixed_ips if ip.version == 4]
    meta: dict[str, Any] = {
        "ami-id": _image("ami", told.image_id),
        "ami-launch-index": str(told.launch_index),
        "ami-manifest-path": "FIXME",  # what Nova says, for nobody asks
        "instance-id": "i-" + told.guest_name.rpartition("-")[2],
        "hostname": told.hostname,
        "local-ipv4": addresses[0] if addresses else "",
        "reservation-id": told.reservation_id,
        "security-groups": told.security_groups,
    }
    if at >= since("2007-01-19"):
        meta |= {"local-hostname": told.hostname, "public-hostname": told.hostname, "public-ipv4": ""}
        if key := told.key:
            meta["public-keys"] = {"0": {SHOWN_AS: f"0={key.name}", "openssh-key": key.public_key}}
    if at >= since("2007-03-01"):
        meta["product-codes"] = []
    if at >= since("2007-08-29"):
        meta["instance-type"] = told.flavor
    if at >= since("2007-10-10"):
        meta["ancestor-ami-ids"] = []
    if at >= since("2007-12-15"):
        meta["block-device-mapping"] = _devices(told)
        meta |= {name: _image(kind, image_id) for name, kind, image_id in _boot_images(told) if image_id}
    if at >= since("2008-02-01"):
        meta["placement"] = {"availability-zone": told.zone}
    if at >= since("2008-09-01"):
        meta["instance-action"] = "none"
    return meta


def render(node: Node) -> bytes:
    """Return what is answered for a node: a folder's names, a list's lines, or the text itself."""
    if isinstance(node, bytes):
        return node
    if isinstance(node, str):
        return node.encode()
    if isinstance(node, list):
        return "\n".join(node).encode()
    return "\n".join(_listed(name, node[name]) for name in sorted(node) if name != SHOWN_AS).encode()


def _listed(name: str, node: Node) -> str:
    if not isinstance(node, Mapping):
        return name
    shown = node.get(SHOWN_AS)
    return shown if isinstance(shown, str) else f"{name}/"


def _image(kind: str, image_id: str) -> str:
    """Return an image's id in EC2's form, which has 32 bits."""
    return f"{kind}-{image_id.replace('-', '')[:8]:0>8}"


def _boot_images(told: Told) -> list[tuple[str, str, str]]:
    return [("kernel-id", "aki", told.kernel_id), ("ramdisk-id", "ari", told.ramdisk_id)]


def _devices(told: Told) -> dict[str, str]:
    """Return EC2's names of the disks, with the paths of their devices."""
    root = told.disks.get("root", "vda")
    others = {kind: f"/dev/{name}" for kind, name in told.disks.items() if kind != "root"}
    return {"ami": root, "root": f"/dev/{root}", **others}
