"""Guests whose XML is kept in golden/: a name, a spec and a platform each."""

from pathlib import Path
from uuid import UUID

from hypervisors.driver import Disk, GuestSpec, Nic
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
    "uefi": (_spec(properties={"hw_firmware_type": "uefi", "hw_video_model": "virtio"}), KVM),
    "old-machine": (_spec(properties={"hw_machine_type": "pc", "hw_video_model": "none"}), TCG),
    "hostile-names": (
        _spec(display_name="<a>&\"'\x00\x1b\ud800\uffff]]>\N{SNOWMAN}", project_id="\x07p"),
        TCG,
    ),
}
