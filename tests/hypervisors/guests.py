"""Guests whose XML is kept in golden/: a name, a spec and a platform each."""

from pathlib import Path
from typing import Any
from uuid import UUID

from hypervisors.driver import Disk, GuestSpec, Nic
from hypervisors.hardware import DirectBoot, Hardware, Limits, Topology, Tpm
from hypervisors.libvirt.folders import GuestFolder
from hypervisors.libvirt.virtualization import Platform

UUID_A = UUID("11111111-2222-4333-8444-555555555555")
FOLDER = GuestFolder(Path("/state/hosts/a/guests") / str(UUID_A))
TCG, KVM = Platform(kvm=False), Platform(kvm=True)


def _spec(**changes: object) -> GuestSpec:
    values: dict[str, object] = {
        "uuid": UUID_A,
        "epoch": 3,
        "name": "instance-0000002a",
        "display_name": "web 1",
        "project_id": "b1946ac92492d2347c6235b4d2611184",
        "vcpus": 2,
        "memory_mib": 512,
        "disks": (Disk("root", 10, Path("/images/base"), "qcow2"),),
        "config_drive": {"openstack/latest/meta_data.json": b"{}"},
    }
    return GuestSpec(**(values | changes))  # type: ignore[arg-type]


def _nic(number: int, *, model: str = "virtio", mtu: int = 1500) -> Nic:
    return Nic(UUID(int=number), f"fa:16:3e:00:00:0{number}", f"tap{number}", "br-a", mtu, model)


_ROOT = Path("/images/base")
HARDWARE: dict[str, dict[str, Any]] = {  # one a property, or a few that are one device
    "ide-disk": {"disks": (Disk("root", 10, _ROOT, bus="ide"),)},
    "usb-disk": {"disks": (Disk("root", 10, _ROOT, bus="usb"),)},
    "other-scsi-model": {
        "disks": (Disk("root", 10, _ROOT, bus="scsi"),),
        "hardware": Hardware(scsi_model="lsilogic"),
    },
    "cdrom-sata": {"hardware": Hardware(cdrom_bus="sata")},
    "cdrom-ide": {"hardware": Hardware(cdrom_bus="ide")},
    "versioned-machine": {"hardware": Hardware(machine="pc-q35-7.2")},
    "secure-boot": {"hardware": Hardware(uefi=True, secure_boot=True, machine="q35")},
    "boot-menu": {"hardware": Hardware(boot_menu=True)},
    "kernel-and-ramdisk": {
        "hardware": Hardware(
            direct_boot=DirectBoot(Path("/images/k"), Path("/images/r"), "root=/dev/vda quiet")
        )
    },
    "topology": {"vcpus": 8, "hardware": Hardware(topology=Topology(2, 2, 2))},
    "pmu-off": {"hardware": Hardware(pmu=False)},
    "hidden-hypervisor": {"hardware": Hardware(hides_hypervisor=True)},
    "windows-kvm": {"hardware": Hardware(windows=True)},
    "hpet": {"hardware": Hardware(hpet=True)},
    "multiqueue": {"nics": (_nic(1), _nic(2, model="e1000")), "hardware": Hardware(nic_queues=2)},
    "old-nics": {"nics": (_nic(1, model="ne2k_pci"), _nic(2, model="pcnet"))},
    "video-memory": {"hardware": Hardware(video_model="qxl", video_ram_mib=64)},
    "three-serial-ports": {"hardware": Hardware(serial_ports=3)},
    "no-guest-agent": {"hardware": Hardware(guest_agent=False)},
    "watchdog": {"hardware": Hardware(watchdog_action="reset")},
    "no-rng": {"hardware": Hardware(rng=False)},
    "rng-rate": {"hardware": Hardware(limits=Limits(rng={"bytes": 1024, "period": 500}))},
    "usb-tablet": {"hardware": Hardware(tablet_bus="usb")},
    "virtio-inputs": {"hardware": Hardware(tablet_bus="virtio", keyboard_bus="virtio")},
    "tpm": {"hardware": Hardware(tpm=Tpm("2.0", "tpm-crb"))},
    "limits": {
        "nics": (_nic(1),),
        "hardware": Hardware(
            limits=Limits(
                cpu={"shares": 512, "period": 10_000, "quota": 5_000},
                disk={"read_bytes_sec": 1_000_000, "write_iops_sec": 100},
                inbound={"average": 1_000, "peak": 2_000, "burst": 500},
                outbound={"average": 800},
            )
        ),
    },
}

GUESTS: dict[str, tuple[GuestSpec, Platform]] = {
    "plain-tcg": (_spec(nics=(_nic(1),)), TCG),
    "plain-kvm": (_spec(nics=(_nic(1),)), KVM),
    "no-nic-no-config-drive": (_spec(config_drive=None), TCG),
    "three-disks-two-nics": (
        _spec(
            disks=(Disk("root", 10), Disk("ephemeral0", 5), Disk("swap", 1)),
            nics=(_nic(1), _nic(2, model="e1000", mtu=1450)),
        ),
        TCG,
    ),
    "scsi-and-sata-disks": (
        _spec(
            disks=(
                Disk("root", 10, bus="scsi"),
                Disk("ephemeral0", 5, bus="sata"),
                Disk("swap", 1, bus="scsi"),
            )
        ),
        KVM,
    ),
    "uefi": (_spec(hardware=Hardware(uefi=True, video_model="virtio")), KVM),
    "old-machine": (_spec(hardware=Hardware(machine="pc", video_model="none")), TCG),
    **{name: (_spec(**changes), KVM) for name, changes in HARDWARE.items()},
    "windows-tcg": (_spec(hardware=Hardware(windows=True, hides_hypervisor=True)), TCG),
    "hostile-command-line": (
        _spec(hardware=Hardware(direct_boot=DirectBoot(Path("/images/kernel"), None, "a=<b>&\x00'\"]]>"))),
        TCG,
    ),
    "hostile-names": (
        _spec(display_name="<a>&\"'\x00\x1b\ud800\uffff]]>\N{SNOWMAN}", project_id="\x07p"),
        TCG,
    ),
}
