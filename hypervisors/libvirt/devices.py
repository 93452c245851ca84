"""Builders of guest XML, one a device. Form: https://libvirt.org/formatdomain.html (devices)."""

from pathlib import Path

from lxml import etree

from hypervisors.driver import Disk, Nic

Element = etree._Element

TARGET_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd"}
NIC_MODELS = frozenset({"virtio", "e1000", "e1000e", "rtl8139"})
VIDEO_MODELS = frozenset({"vga", "virtio", "cirrus", "bochs", "none"})


def node(tag: str, *children: Element, text: str | None = None, **attributes: str | int) -> Element:
    """Return an element; attributes that are Python words end in an underscore."""
    element = etree.Element(tag, {name.rstrip("_"): str(value) for name, value in attributes.items()})
    element.text = text
    element.extend(children)
    return element


def disk(disk: Disk, path: Path, target: str, *, boot_order: int | None = None) -> Element:
    """Return a qcow2 disk. Writes wait in the host's cache until the guest flushes: bases are shared in it."""
    device = node(
        "disk",
        node("driver", name="qemu", type="qcow2", cache="writeback", discard="unmap"),
        node("source", file=str(path)),
        node("target", dev=target, bus=disk.bus),
        node("serial", text=disk.name),
        type="file",
        device="disk",
    )
    if boot_order is not None:
        device.append(node("boot", order=boot_order))
    return device


def config_drive(path: Path, target: str) -> Element:
    """Return the config drive: a read-only virtio disk, since a cloud kernel may know no CD-ROM."""
    return node(
        "disk",
        node("driver", name="qemu", type="raw"),
        node("source", file=str(path)),
        node("target", dev=target, bus="virtio"),
        node("readonly"),
        node("serial", text="config-2"),
        type="file",
        device="disk",
    )


def interface(nic: Nic) -> Element:
    """Return a NIC on a tap device that is there while the guest runs, in a bridge that the host's wiring made."""
    return node(
        "interface",
        node("mac", address=nic.mac),
        node("source", bridge=nic.bridge),
        node("target", dev=nic.tap),
        node("model", type=nic.model),
        node("mtu", size=nic.mtu),
        type="bridge",
    )


def serial(log: Path) -> Element:
    """Return the first serial port: a terminal to open later, and a log of all it writes.

    virtlogd writes and rotates the log (2 MiB, 3 old ones) where libvirtd uses it, else QEMU writes it.
    """
    return node("serial", node("log", file=str(log), append="on"), node("target", port=0), type="pty")


def guest_agent() -> Element:
    """Return the channel of the QEMU guest agent."""
    return node("channel", node("target", type="virtio", name="org.qemu.guest_agent.0"), type="unix")


def graphics() -> Element:
    """Return VNC on loopback, whose password has run out: nobody gets in until one is set.

    A password must be there from the start, or none can be set while the guest runs.
    """
    return node(
        "graphics",
        node("listen", type="address", address="127.0.0.1"),
        type="vnc",
        autoport="yes",
        passwd="expired",  # noqa: S106 - nobody can use it
        passwdValidTo="1970-01-01T00:00:01",
    )


def video(model: str) -> Element:
    """Return the graphics card."""
    return node("video", node("model", type=model))


def rng() -> Element:
    """Return a source of entropy, so that a guest's first boot does not wait for any."""
    return node("rng", node("backend", model="random", text="/dev/urandom"), model="virtio")


def balloon() -> Element:
    """Return the memory balloon, which tells how much memory the guest uses every 10 s."""
    return node("memballoon", node("stats", period=10), model="virtio")


def controllers(disks: tuple[Disk, ...]) -> list[Element]:
    """Return what libvirt would choose otherwise: no USB, virtio for SCSI."""
    usb = node("controller", type="usb", model="none")
    if any(disk.bus == "scsi" for disk in disks):
        return [usb, node("controller", type="scsi", index=0, model="virtio-scsi")]
    return [usb]
