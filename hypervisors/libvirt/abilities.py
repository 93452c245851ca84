"""What this host's libvirt and QEMU can give to a guest. Form: https://libvirt.org/formatdomaincaps.html."""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import libvirt
from lxml import etree

from hypervisors import hardware
from hypervisors.driver import CallFailed, GuestSpec
from hypervisors.hardware import NIC_MODELS, Hardware
from hypervisors.libvirt import devices, machine
from hypervisors.libvirt.virtualization import Platform


@dataclass(frozen=True, slots=True)
class Abilities:
    """The devices that there are, by the values of the image properties that ask for them."""

    buses: frozenset[str]
    videos: frozenset[str]
    uefi: bool
    secure_boot: bool
    tpm_models: frozenset[str]
    tpm_versions: frozenset[str]

    def __or__(self, other: "Abilities") -> "Abilities":
        """Return what one of two machines has."""
        return Abilities(
            self.buses | other.buses,
            self.videos | other.videos,
            self.uefi or other.uefi,
            self.secure_boot or other.secure_boot,
            self.tpm_models | other.tpm_models,
            self.tpm_versions | other.tpm_versions,
        )

    def traits(self) -> frozenset[str]:
        """Return the traits of a host that can do this."""
        values = {
            "STORAGE_BUS": self.buses,
            "GRAPHICS_MODEL": self.videos,
            "NET_VIF_MODEL": frozenset(NIC_MODELS),  # libvirt does not tell; every QEMU has them
            "FIRMWARE": {"bios", "uefi"} if self.uefi else {"bios"},
            "SECURITY": self.tpm_models,
            "SECURITY_TPM": self.tpm_versions,
        }
        named = {hardware.trait(prefix, value) for prefix, known in values.items() for value in known}
        return frozenset(named | ({hardware.SECURE_BOOT} if self.secure_boot else set()))


def of_host(connect: Any, platform: Platform) -> Abilities:
    """Return what any machine of the host's architecture has."""
    families = machine.MACHINES[platform.architecture]
    return reduce(Abilities.__or__, (of_machine(connect, platform, family) for family in families))


def of_machine(connect: Any, platform: Platform, machine_type: str) -> Abilities:
    """Ask libvirt; raises CallFailed where it has no such machine."""
    try:
        told = connect.getDomainCapabilities(None, platform.architecture, machine_type, platform.domain_type)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_INVALID_ARG:
            raise
        raise CallFailed(f"hw_machine_type={machine_type}: this host has no such machine") from error
    return parse(told)


def parse(capabilities: str) -> Abilities:
    """Return what libvirt's domain capabilities say."""
    able = etree.fromstring(capabilities)
    emulates = "emulator" in _values(able, "devices/tpm", "backendModel")
    versions = _values(able, "devices/tpm", "backendVersion") if emulates else frozenset()
    return Abilities(
        buses=_values(able, "devices/disk", "bus") & set(devices.TARGET_PREFIX),
        videos=_values(able, "devices/video", "modelType") & set(hardware.VIDEO_MODELS),
        uefi="efi" in _values(able, "os", "firmware"),
        secure_boot="efi" in _values(able, "os", "firmware")
        and "yes" in _values(able, "os/loader", "secure"),
        tpm_models=_values(able, "devices/tpm", "model") & set(hardware.TPM_MODELS)
        if versions
        else frozenset(),
        tpm_versions=versions & set(hardware.TPM_VERSIONS),
    )


def is_asked_for(spec: GuestSpec) -> bool:
    """Tell whether the guest has anything that a host may not be able to give."""
    return spec.hardware != Hardware() or any(disk.bus != "virtio" for disk in spec.disks)


def require(spec: GuestSpec, able: Abilities) -> None:
    """Raise CallFailed, which names the property, where the guest is to have what this host cannot give."""
    wanted = spec.hardware
    asked: list[tuple[str, str, bool]] = [
        *(("hw_disk_bus", disk.bus, disk.bus in able.buses) for disk in spec.disks),
        ("hw_video_model", wanted.video_model, wanted.video_model in able.videos),
        ("hw_firmware_type", "uefi", able.uefi or not wanted.uefi),
        ("os_secure_boot", "required", able.secure_boot or not wanted.secure_boot),
    ]
    if wanted.cdrom_bus:
        asked.append(("hw_cdrom_bus", wanted.cdrom_bus, wanted.cdrom_bus in able.buses))
    if wanted.tpm is not None:
        asked.append(("hw_tpm_version", wanted.tpm.version, wanted.tpm.version in able.tpm_versions))
        asked.append(("hw_tpm_model", wanted.tpm.model, wanted.tpm.model in able.tpm_models))
    for name, value, is_there in asked:
        if not is_there:
            raise CallFailed(f"{name}={value}: this host's hypervisor has no such thing")


def _values(able: etree._Element, path: str, enum: str) -> frozenset[str]:
    """Return the values of an enum in libvirt's domain capabilities."""
    return frozenset(str(value.text) for value in able.findall(f"{path}/enum[@name='{enum}']/value"))
