"""What a host can give a guest, as libvirt's domain capabilities tell it, and what is refused for want of it."""

from dataclasses import replace

import pytest

from hypervisors.driver import CallFailed, Disk, GuestSpec
from hypervisors.hardware import Hardware, Tpm
from hypervisors.libvirt import abilities
from tests.hypervisors.guests import GUESTS

PLAIN, _ = GUESTS["plain-tcg"]


def enum(name: str, *values: str) -> str:
    return f"<enum name='{name}'>{''.join(f'<value>{value}</value>' for value in values)}</enum>"


def capabilities(*, firmware: tuple[str, ...], secure: tuple[str, ...], tpm: str) -> str:
    return f"""<domainCapabilities>
      <os supported='yes'>{enum("firmware", *firmware)}
        <loader supported='yes'>{enum("secure", *secure)}</loader></os>
      <devices>
        <disk supported='yes'>{enum("bus", "fdc", "scsi", "virtio", "usb", "sata")}</disk>
        <video supported='yes'>{enum("modelType", "vga", "none", "ramfb")}</video>
        {tpm}
      </devices>
    </domainCapabilities>"""


POOR = abilities.parse(capabilities(firmware=(), secure=("no",), tpm="<tpm supported='no'/>"))
RICH = abilities.parse(
    capabilities(
        firmware=("efi",),
        secure=("yes", "no"),
        tpm=f"<tpm supported='yes'>{enum('model', 'tpm-tis', 'tpm-crb')}{enum('backendModel', 'emulator')}"
        f"{enum('backendVersion', '1.2', '2.0')}</tpm>",
    )
)


def test_a_hosts_traits_are_the_devices_that_libvirt_tells_of() -> None:
    plain = {
        "COMPUTE_STORAGE_BUS_SCSI", "COMPUTE_STORAGE_BUS_VIRTIO", "COMPUTE_STORAGE_BUS_USB", "COMPUTE_STORAGE_BUS_SATA",
        "COMPUTE_GRAPHICS_MODEL_VGA", "COMPUTE_GRAPHICS_MODEL_NONE", "COMPUTE_FIRMWARE_BIOS",
        "COMPUTE_NET_VIF_MODEL_VIRTIO", "COMPUTE_NET_VIF_MODEL_E1000", "COMPUTE_NET_VIF_MODEL_E1000E",
        "COMPUTE_NET_VIF_MODEL_RTL8139", "COMPUTE_NET_VIF_MODEL_NE2K_PCI", "COMPUTE_NET_VIF_MODEL_PCNET",
    }  # fmt: skip
    more = {
        "COMPUTE_FIRMWARE_UEFI", "COMPUTE_SECURITY_UEFI_SECURE_BOOT", "COMPUTE_SECURITY_TPM_1_2",
        "COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_TPM_TIS", "COMPUTE_SECURITY_TPM_CRB",
    }  # fmt: skip
    assert POOR.traits() == plain
    assert RICH.traits() == plain | more
    assert (POOR | RICH) == RICH


def test_a_tpm_without_its_emulator_is_none() -> None:
    passed_through = (
        f"<tpm supported='yes'>{enum('model', 'tpm-tis')}{enum('backendModel', 'passthrough')}</tpm>"
    )
    able = abilities.parse(capabilities(firmware=(), secure=("no",), tpm=passed_through))
    assert able.tpm_models == able.tpm_versions == frozenset()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (replace(PLAIN, disks=(Disk("root", 1, bus="ide"),)), "hw_disk_bus=ide: this host"),
        (replace(PLAIN, hardware=Hardware(cdrom_bus="ide")), "hw_cdrom_bus=ide: this host"),
        (replace(PLAIN, hardware=Hardware(video_model="qxl")), "hw_video_model=qxl: this host"),
        (replace(PLAIN, hardware=Hardware(uefi=True)), "hw_firmware_type=uefi: this host"),
        (replace(PLAIN, hardware=Hardware(tpm=Tpm("2.0"))), "hw_tpm_version=2.0: this host"),
    ],
)
def test_what_the_host_cannot_give_is_refused_by_the_propertys_name(spec: GuestSpec, words: str) -> None:
    with pytest.raises(CallFailed, match=words) as refusal:
        abilities.require(spec, POOR)
    assert not refusal.value.retryable


def test_secure_boot_is_more_than_uefi() -> None:
    able = abilities.parse(capabilities(firmware=("efi",), secure=("no",), tpm=""))
    abilities.require(replace(PLAIN, hardware=Hardware(uefi=True)), able)
    with pytest.raises(CallFailed, match="os_secure_boot=required"):
        abilities.require(replace(PLAIN, hardware=Hardware(uefi=True, secure_boot=True)), able)


def test_what_the_host_can_give_is_not_refused() -> None:
    spec = replace(
        PLAIN,
        disks=(Disk("root", 1, bus="sata"),),
        hardware=Hardware(uefi=True, secure_boot=True, tpm=Tpm("2.0", "tpm-crb"), cdrom_bus="scsi"),
    )
    abilities.require(spec, RICH)


def test_a_plain_guest_asks_for_nothing() -> None:
    assert not abilities.is_asked_for(PLAIN)
    assert abilities.is_asked_for(replace(PLAIN, disks=(Disk("root", 1, bus="scsi"),)))
    assert abilities.is_asked_for(replace(PLAIN, hardware=Hardware(uefi=True)))
