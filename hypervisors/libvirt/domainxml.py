"""A guest's domain XML, from its spec. Form: https://libvirt.org/formatdomain.html."""

import hashlib
import re
import string
from collections import Counter

from lxml import etree

from hypervisors.driver import CallFailed, Disk, GuestSpec
from hypervisors.libvirt import devices, metadata
from hypervisors.libvirt.devices import Element, node
from hypervisors.libvirt.folders import GuestFolder
from hypervisors.libvirt.virtualization import TCG_FEATURES, TCG_MODEL, Platform

TCG_CACHE_MIB = 32  # of translated code; QEMU's own choice may take a GiB a guest
MACHINES = {"x86_64": ("q35", "pc"), "aarch64": ("virt",)}
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def build(spec: GuestSpec, platform: Platform, folder: GuestFolder) -> tuple[str, str]:
    """Return the XML, and the digest of all of it but our metadata; raises CallFailed for what no guest can have."""
    domain = node(
        "domain",
        node("name", text=spec.name),
        node("uuid", text=str(spec.uuid)),
        node("memory", text=str(spec.memory_mib), unit="MiB"),
        node("vcpu", text=str(spec.vcpus), placement="static"),
        *_firmware(spec, platform),
        *_processor(platform),
        *_clock(platform),
        node("on_poweroff", text="destroy"),
        node("on_reboot", text="restart"),
        node("on_crash", text="destroy"),
        _devices(spec, folder),
        type=platform.domain_type,
    )
    digest = hashlib.sha256(etree.tostring(domain)).hexdigest()
    marks = metadata.element(
        metadata.Marks(spec.epoch, digest, str(folder.path.parent)),
        project_id=_printable(spec.project_id),
        display_name=_printable(spec.display_name),
    )
    domain.insert(2, node("metadata", marks))
    return etree.tostring(domain, pretty_print=True, encoding="unicode"), digest


def _firmware(spec: GuestSpec, platform: Platform) -> list[Element]:
    """Return <os> and the SMBIOS tables, by which guests' software recognises an OpenStack cloud."""
    machines = MACHINES.get(platform.architecture, ())
    machine = spec.properties.get("hw_machine_type") or (machines[0] if machines else "")
    if machine not in machines:
        raise CallFailed(
            f"no machine {machine!r} for {platform.architecture}: hw_machine_type may be {machines}"
        )
    system = node("os", node("type", text="hvm", arch=platform.architecture, machine=machine))
    if spec.properties.get("hw_firmware_type") == "uefi":
        system.set("firmware", "efi")
        system.append(node("firmware", node("feature", enabled="no", name="secure-boot")))
    system.append(node("smbios", mode="sysinfo"))
    entries = {
        "manufacturer": "ComputeCloud",
        "product": "OpenStack Compute",
        "serial": str(spec.uuid),
        "uuid": str(spec.uuid),
        "family": "Virtual Machine",
    }
    tables = node("system", *(node("entry", name=name, text=text) for name, text in entries.items()))
    return [node("sysinfo", tables, type="smbios"), system]


def _processor(platform: Platform) -> list[Element]:
    features = node("features", node("acpi"), node("apic"))
    if platform.kvm:
        return [features, node("cpu", mode="host-model", check="partial")]
    features.append(node("tcg", node("tb-cache", text=str(TCG_CACHE_MIB), unit="MiB")))
    if platform.architecture != "x86_64":
        return [features, node("cpu", mode="maximum")]
    wanted = [node("feature", policy="require", name=name) for name in TCG_FEATURES]
    model = node("model", text=TCG_MODEL, fallback="forbid")
    return [features, node("cpu", model, *wanted, mode="custom", match="exact", check="partial")]


def _clock(platform: Platform) -> list[Element]:
    timers = [node("timer", name="rtc", tickpolicy="catchup"), node("timer", name="hpet", present="no")]
    if platform.kvm:
        timers.append(node("timer", name="pit", tickpolicy="delay"))
    return [node("clock", *timers, offset="utc")]


def _devices(spec: GuestSpec, folder: GuestFolder) -> Element:
    properties = spec.properties
    video = _choice(properties, "hw_video_model", devices.VIDEO_MODELS, "vga")
    names = _Targets()
    all_devices = node("devices", *devices.controllers(spec.disks))
    for order, disk in enumerate(spec.disks, start=1):
        all_devices.append(devices.disk(disk, folder.disk(disk.name), names.next(disk), boot_order=order))
    if spec.config_drive is not None:
        all_devices.append(devices.config_drive(folder.config_drive, names.next(Disk("config", 0))))
    for nic in spec.nics:
        if nic.model not in devices.NIC_MODELS:
            raise CallFailed(f"no NIC model {nic.model!r}: choose one of {sorted(devices.NIC_MODELS)}")
        all_devices.append(devices.interface(nic))
    all_devices.extend(
        [
            devices.serial(folder.console),
            devices.guest_agent(),
            devices.graphics(),
            devices.video(video),
            devices.rng(),
            devices.balloon(),
        ]
    )
    return all_devices


class _Targets:
    """Hands out device names: vda, vdb, …, sda, …"""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def next(self, disk: Disk) -> str:
        prefix = devices.TARGET_PREFIX.get(disk.bus)
        if prefix is None:
            raise CallFailed(f"no disk bus {disk.bus!r}: choose one of {sorted(devices.TARGET_PREFIX)}")
        number = self._taken[prefix]
        if number >= len(string.ascii_lowercase):
            raise CallFailed(f"a guest has at most {len(string.ascii_lowercase)} disks on a bus")
        self._taken[prefix] += 1
        return f"{prefix}{string.ascii_lowercase[number]}"


def _choice(properties: dict[str, str], name: str, choices: frozenset[str], default: str) -> str:
    value = properties.get(name) or default
    if value not in choices:
        raise CallFailed(f"{name} may not be {value!r}: choose one of {sorted(choices)}")
    return value


def _printable(text: str) -> str:
    """Return the text with what XML cannot hold replaced."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
