"""Our element in a domain's metadata: whose guest it is, its epoch, and of which definition it was made."""

from dataclasses import dataclass
from typing import Any

import libvirt
from lxml import etree

NAMESPACE = "urn:computecloud:guest:1"
PREFIX = "computecloud"
_GUEST = f"{{{NAMESPACE}}}guest"


@dataclass(frozen=True, slots=True)
class Marks:
    """What we have written on a domain.

    definition is the digest of the XML it was defined from, folders where its installation keeps guests' folders:
    several installations may use one libvirtd.
    """

    epoch: int
    definition: str
    folders: str


def element(marks: Marks, *, project_id: str, display_name: str) -> etree._Element:
    """Return the element that a domain's <metadata> is to hold."""
    guest = etree.Element(_GUEST, nsmap={PREFIX: NAMESPACE})
    guest.set("epoch", str(marks.epoch))
    guest.set("definition", marks.definition)
    guest.set("folders", marks.folders)
    for name, text in (("project", project_id), ("name", display_name)):
        etree.SubElement(guest, f"{{{NAMESPACE}}}{name}").text = text
    return guest


def read(domain: Any) -> Marks | None:
    """Return our marks of a domain, or None where it has none that we can read."""
    xml = _text(domain)
    return None if xml is None else parse(xml)


def parse(xml: str) -> Marks | None:
    """Return the marks in our element, or None where it holds no epoch."""
    guest = etree.fromstring(xml)
    epoch = guest.get("epoch", "")
    if not (epoch.isascii() and epoch.isdecimal()):
        return None
    return Marks(int(epoch), guest.get("definition", ""), guest.get("folders", ""))


def write_epoch(domain: Any, epoch: int) -> None:
    """Write the epoch into the definition of a domain, and into the running one."""
    xml = _text(domain)
    guest = etree.Element("guest", definition="") if xml is None else etree.fromstring(xml)
    guest.set("epoch", str(epoch))  # libvirt adds the namespace itself, and refuses one that is there
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if domain.isActive():
        flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        etree.tostring(guest, encoding="unicode"),
        PREFIX,
        NAMESPACE,
        flags,
    )


def _text(domain: Any) -> str | None:
    try:
        return str(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE, 0))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return None
        raise
