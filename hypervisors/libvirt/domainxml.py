"""A guest's domain XML, from its spec. Form: https://libvirt.org/formatdomain.html."""

import hashlib
import string
from collections import Counter

from lxml import etree

from hypervisors.driver import CallFailed, Disk, GuestSpec
from hypervisors.hardware import NIC_MODELS, VIDEO_MODELS
from hypervisors.libvirt import devices, machine, metadata
from hypervisors.libvirt.devices import Element, node
from hypervisors.libvirt.folders import GuestFolder
from hypervisors.libvirt.virtualization import Platform
from hypervisors.libvirt.words import printable

IDE_DISKS_MAX = 4


def build(spec: GuestSpec, platform: Platform, folder: GuestFolder) -> tuple[str, str]:
    """Return the XML, and the digest of all of it but our metadata; raises CallFailed for what no guest can have."""
    domain = node(
        "domain",
        node("name", spec.name),
        node("uuid", str(spec.uuid)),
        node("memory", str(spec.memory_mib), unit="MiB"),
        node("vcpu", str(spec.vcpus), placement="static"),
        *machine.tuning(spec.hardware),
        *machine.system(spec, platform, folder),
        *machine.processor(spec, platform),
        machine.clock(spec.hardware, platform),
        node("on_poweroff", "destroy"),
        node("on_reboot", "restart"),
        node("on_crash", "destroy"),
        _devices(spec, folder),
        type=platform.domain_type,
    )
    digest = hashlib.sha256(etree.tostring(domain)).hexdigest()
    marks = metadata.element(
        metadata.Marks(spec.epoch, digest, str(folder.path.parent)),
        project_id=printable(spec.project_id),
        display_name=printable(spec.display_name),
    )
    domain.insert(2, node("metadata", marks))
    return etree.tostring(domain, pretty_print=True, encoding="unicode"), digest


def _devices(spec: GuestSpec, folder: GuestFolder) -> Element:
    wanted = spec.hardware
    all_devices = node("devices", *devices.controllers(spec), *_disks(spec, folder))
    for nic in spec.nics:
        if nic.model not in NIC_MODELS:
            raise CallFailed(f"no NIC model {nic.model!r}: choose one of {sorted(NIC_MODELS)}")
        all_devices.append(devices.interface(nic, wanted))
    if wanted.video_model not in VIDEO_MODELS:
        raise CallFailed(
            f"hw_video_model may not be {wanted.video_model!r}: choose one of {sorted(VIDEO_MODELS)}"
        )
    all_devices.append(devices.serial(folder.console))
    all_devices.extend(devices.more_serial(port) for port in range(1, wanted.serial_ports))
    if wanted.guest_agent:
        all_devices.append(devices.guest_agent())
    all_devices.extend(devices.inputs(wanted))
    if wanted.tpm is not None:
        all_devices.append(devices.tpm(wanted.tpm))
    all_devices.extend([devices.graphics(), devices.video(wanted.video_model, wanted.video_ram_mib)])
    if wanted.rng:
        all_devices.append(devices.rng(wanted.limits.rng))
    if wanted.watchdog_action:
        all_devices.append(devices.watchdog(wanted.watchdog_action))
    all_devices.append(devices.balloon())
    return all_devices


def _disks(spec: GuestSpec, folder: GuestFolder) -> list[Element]:
    names, limits = _Targets(), spec.hardware.limits.disk
    disks = [
        devices.disk(disk, folder.disk(disk.name), names.next(disk), boot_order=order, limits=limits)
        for order, disk in enumerate(spec.disks, start=1)
    ]
    if spec.config_drive is not None:
        bus = spec.hardware.cdrom_bus
        target = names.next(Disk("config", 0, bus=bus or "virtio"))
        disks.append(devices.config_drive(folder.config_drive, target, cdrom_bus=bus))
    return disks


class _Targets:
    """Hands out device names: vda, vdb, …, sda, …"""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def next(self, disk: Disk) -> str:
        prefix = devices.TARGET_PREFIX.get(disk.bus)
        if prefix is None:
            raise CallFailed(f"no disk bus {disk.bus!r}: choose one of {sorted(devices.TARGET_PREFIX)}")
        number = self._taken[prefix]
        most = IDE_DISKS_MAX if disk.bus == "ide" else len(string.ascii_lowercase)
        if number >= most:
            raise CallFailed(f"a guest has at most {most} disks on a bus")
        self._taken[prefix] += 1
        return f"{prefix}{string.ascii_lowercase[number]}"
