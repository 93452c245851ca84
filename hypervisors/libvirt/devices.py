"""Builders of guest XML, one a device. Form: https://libvirt.org/formatdomain.html (devices)."""

from pathlib import Path

from lxml import etree

from hypervisors.driver import Disk, GuestSpec, Nic
from hypervisors.hardware import Hardware, Tpm

Element = etree._Element

TARGET_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "ide": "hd", "usb": "sd"}
MIB_IN_KIB = 1024


def node(tag: str, *content: Element | str, **attributes: str | int) -> Element:
    """Return an element of children or one text; attributes that are Python words end in an underscore."""
    element = etree.Element(tag, {name.rstrip("_"): str(value) for name, value in attributes.items()})
    for part in content:
        if isinstance(part, str):
            element.text = part
        else:
            element.append(part)
    return element


def disk(disk: Disk, path: Path, target: str, *, boot_order: int, limits: dict[str, int]) -> Element:
    """Return a qcow2 disk. Writes wait in the host's cache until the guest flushes: bases are shared in it.

    limits: by the names of iotune's elements.
    """
    device = node(
        "disk",
        node("driver", name="qemu", type="qcow2", cache="writeback", discard="unmap"),
        node("source", file=str(path)),
        node("target", dev=target, bus=disk.bus),
        node("serial", disk.name),
        type="file",
        device="disk",
    )
    device.append(node("boot", order=boot_order))
    if limits:
        device.append(node("iotune", *(node(name, str(value)) for name, value in limits.items())))
    return device


def config_drive(path: Path, target: str, *, cdrom_bus: str) -> Element:
    """Return the config drive: a read-only virtio disk, since a cloud kernel may know no CD-ROM, or a CD-ROM."""
    return node(
        "disk",
        node("driver", name="qemu", type="raw"),
        node("source", file=str(path)),
        node("target", dev=target, bus=cdrom_bus or "virtio"),
        node("readonly"),
        node("serial", "config-2"),
        type="file",
        device="cdrom" if cdrom_bus else "disk",
    )


def interface(nic: Nic, hardware: Hardware) -> Element:
    """Return a NIC on a tap device that is there while the guest runs, in a bridge that the host's wiring made."""
    device = node(
        "interface",
        node("mac", address=nic.mac),
        node("source", bridge=nic.bridge),
        node("target", dev=nic.tap),
        node("model", type=nic.model),
        node("mtu", size=nic.mtu),
        type="bridge",
    )
    if nic.model == "virtio" and hardware.nic_queues > 1:
        device.append(node("driver", queues=hardware.nic_queues))
    rates = {"inbound": hardware.limits.inbound, "outbound": hardware.limits.outbound}
    if any(rates.values()):
        device.append(node("bandwidth", *(node(way, **given) for way, given in rates.items() if given)))
    return device


def serial(log: Path) -> Element:
    """Return the first serial port: a terminal to open later, and a log of all it writes.

    virtlogd writes and rotates the log (2 MiB, 3 old ones) where libvirtd uses it, else QEMU writes it.
    """
    return node("serial", node("log", file=str(log), append="on"), node("target", port=0), type="pty")


def more_serial(port: int) -> Element:
    """Return one more serial port, which nobody listens to until it is opened."""
    return node("serial", node("target", port=port), type="pty")


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


def video(model: str, ram_mib: int) -> Element:
    """Return the graphics card; ram_mib 0 leaves its memory to QEMU."""
    memory = {"vram": ram_mib * MIB_IN_KIB} if ram_mib and model != "none" else {}
    return node("video", node("model", type=model, **memory))


def inputs(hardware: Hardware) -> list[Element]:
    """Return the pointer that knows where it is, and the keyboard, where they are asked for."""
    wanted = {"tablet": hardware.tablet_bus, "keyboard": hardware.keyboard_bus}
    return [node("input", type=kind, bus=bus) for kind, bus in wanted.items() if bus]


def tpm(tpm: Tpm) -> Element:
    """Return a trusted platform module that swtpm emulates."""
    return node("tpm", node("backend", type="emulator", version=tpm.version), model=tpm.model)


def watchdog(action: str) -> Element:
    """Return a watchdog, and what the hypervisor does when the guest no longer feeds it."""
    return node("watchdog", model="i6300esb", action=action)


def rng(rate: dict[str, int]) -> Element:
    """Return a source of entropy, so that a guest's first boot does not wait for any; rate: bytes a period in ms."""
    limit = [node("rate", **rate)] if rate else []
    return node("rng", *limit, node("backend", "/dev/urandom", model="random"), model="virtio")


def balloon() -> Element:
    """Return the memory balloon, which tells how much memory the guest uses every 10 s."""
    return node("memballoon", node("stats", period=10), model="virtio")


def controllers(spec: GuestSpec) -> list[Element]:
    """Return what libvirt would choose otherwise: USB only where something is on it, virtio for SCSI."""
    hardware = spec.hardware
    buses = {*(disk.bus for disk in spec.disks), hardware.cdrom_bus}
    if "usb" in buses | {hardware.tablet_bus, hardware.keyboard_bus}:
        usb = node("controller", type="usb", index=0, model="qemu-xhci")
    else:
        usb = node("controller", type="usb", model="none")
    if "scsi" in buses:
        return [usb, node("controller", type="scsi", index=0, model=hardware.scsi_model)]
    return [usb]
