"""What a guest's machine looks like: the part of a GuestSpec that images and flavors decide.

Every default is what a guest has of which nobody said anything. Values are those of Nova's image properties.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

DISK_BUSES: Final = ("virtio", "scsi", "sata", "ide", "usb")
CDROM_BUSES: Final = ("sata", "scsi", "ide", "usb")
SCSI_MODELS: Final = ("virtio-scsi", "lsilogic", "lsisas1068")
NIC_MODELS: Final = ("virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet")
VIDEO_MODELS: Final = ("vga", "virtio", "cirrus", "bochs", "qxl", "none")
WATCHDOG_ACTIONS: Final = ("none", "pause", "poweroff", "reset")
TPM_VERSIONS: Final = ("1.2", "2.0")
TPM_MODELS: Final = ("tpm-tis", "tpm-crb")
INPUT_BUSES: Final = ("usb", "virtio")
SERIAL_PORTS_MAX: Final = 4  # a PC has no more
QUEUES_MAX: Final = 256  # of a tap device
FAMILIES: Final = {"pc": "pc-i440fx-", "q35": "pc-q35-", "virt": "virt-"}  # machine to its versions' prefix


@dataclass(frozen=True, slots=True)
class Topology:
    """How a guest's processors look to it; the product is their number."""

    sockets: int
    cores: int
    threads: int

    @property
    def vcpus(self) -> int:
        """Return how many processors that is."""
        return self.sockets * self.cores * self.threads


@dataclass(frozen=True, slots=True)
class Tpm:
    """An emulated trusted platform module."""

    version: str  # of TPM_VERSIONS
    model: str = "tpm-tis"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of its host a guest may use, by the names of libvirt's elements; what is not named has no limit."""

    cpu: dict[str, int] = field(default_factory=dict)  # shares; period and quota in µs
    disk: dict[str, int] = field(default_factory=dict)  # {read,write,total}_{bytes,iops}_sec, of each disk
    inbound: dict[str, int] = field(
        default_factory=dict
    )  # of each NIC: average and peak in KiB/s, burst in KiB
    outbound: dict[str, int] = field(default_factory=dict)
    rng: dict[str, int] = field(default_factory=dict)  # bytes, and the period in ms


@dataclass(frozen=True, slots=True)
class DirectBoot:
    """A kernel that the hypervisor loads itself, instead of what the disk's first sectors say."""

    kernel: Path
    ramdisk: Path | None = None
    command_line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """A guest's machine, but for its size, disks and NICs."""

    machine: str = ""  # hw_machine_type; "": the driver's choice
    uefi: bool = False
    secure_boot: bool = False
    boot_menu: bool = False
    direct_boot: DirectBoot | None = None
    topology: Topology | None = None
    pmu: bool | None = None
    hides_hypervisor: bool = False
    windows: bool = False  # a clock in local time, and Hyper-V's ways of asking the hypervisor
    hpet: bool = False
    scsi_model: str = "virtio-scsi"
    cdrom_bus: str = ""  # the config drive is a CD-ROM there; "": a virtio disk
    nic_queues: int = 1
    video_model: str = "vga"
    video_ram_mib: int = 0  # 0: as the model has it
    serial_ports: int = 1
    guest_agent: bool = True
    watchdog_action: str = ""  # "": no watchdog
    rng: bool = True
    tablet_bus: str = ""  # "": a plain mouse
    keyboard_bus: str = ""
    tpm: Tpm | None = None
    limits: Limits = field(default_factory=Limits)


def family(machine: str) -> str:
    """Return pc, q35 or virt for a machine type or a version of it; "" for others."""
    for name, versions in FAMILIES.items():
        if machine == name or machine.startswith(versions):
            return name
    return ""


def trait(prefix: str, value: str) -> str:
    """Return the trait of a device (source: os-traits)."""
    return f"COMPUTE_{prefix}_{value.upper().replace('-', '_').replace('.', '_')}"


# image property to the part of its traits before the value
TRAIT_OF: Final = {
    "hw_disk_bus": "STORAGE_BUS",
    "hw_cdrom_bus": "STORAGE_BUS",
    "hw_vif_model": "NET_VIF_MODEL",
    "hw_video_model": "GRAPHICS_MODEL",
    "hw_firmware_type": "FIRMWARE",
    "hw_tpm_version": "SECURITY_TPM",
    "hw_tpm_model": "SECURITY",
}
SECURE_BOOT: Final = "COMPUTE_SECURITY_UEFI_SECURE_BOOT"


def all_traits() -> frozenset[str]:
    """Return the traits of a node that can give a guest all of this."""
    values: dict[str, tuple[str, ...]] = {
        "STORAGE_BUS": DISK_BUSES,
        "NET_VIF_MODEL": NIC_MODELS,
        "GRAPHICS_MODEL": VIDEO_MODELS,
        "FIRMWARE": ("bios", "uefi"),
        "SECURITY_TPM": TPM_VERSIONS,
        "SECURITY": TPM_MODELS,
    }
    named = (trait(prefix, value) for prefix, known in values.items() for value in known)
    return frozenset({*named, SECURE_BOOT})
