"""Flavor and image make the machine together: what comes of them, and where they disagree."""

from typing import Any

import pytest

from computecloud.wire.errors import InvalidInput
from hypervisors.hardware import SECURE_BOOT, Hardware, Limits, Topology, Tpm
from images.models import Image
from instances import guests, hardware
from instances.hardware import Wanted
from instances.models import Flavor, Instance
from tests.instances.conftest import refused
from workers.models import Operation


def wanted(
    specs: dict[str, str] | None = None, given: dict[str, str] | None = None, *, vcpus: int = 4
) -> Wanted:
    return Wanted("m1", vcpus, specs or {}, "demo", given or {})


def test_a_flavor_and_an_image_that_say_nothing_make_the_plain_machine() -> None:
    assert hardware.build(wanted()) == Hardware()
    assert hardware.traits(wanted()) == (frozenset(), frozenset())
    assert hardware.build(wanted({"hw:cpu_policy": "shared"}, {"os_distro": "debian"})) == Hardware()


@pytest.mark.parametrize(
    ("specs", "given", "machine"),
    [
        ({}, {"hw_machine_type": "pc-q35-7.2"}, Hardware(machine="pc-q35-7.2")),
        ({}, {"hw_firmware_type": "uefi"}, Hardware(uefi=True)),
        ({}, {"hw_firmware_type": "bios"}, Hardware()),
        (
            {},
            {"hw_firmware_type": "uefi", "os_secure_boot": "required"},
            Hardware(uefi=True, secure_boot=True),
        ),
        ({"os:secure_boot": "required"}, {"hw_firmware_type": "uefi"}, Hardware(uefi=True, secure_boot=True)),
        ({}, {"hw_firmware_type": "uefi", "os_secure_boot": "optional"}, Hardware(uefi=True)),
        ({"hw:boot_menu": "true"}, {}, Hardware(boot_menu=True)),
        ({}, {"hw_boot_menu": "yes"}, Hardware(boot_menu=True)),
        ({"hw:pmu": "off"}, {}, Hardware(pmu=False)),
        ({"hw:pmu": "true"}, {"hw_pmu": "yes"}, Hardware(pmu=True)),
        ({"hw:hide_hypervisor_id": "1"}, {}, Hardware(hides_hypervisor=True)),
        ({}, {"img_hide_hypervisor_id": "1"}, Hardware(hides_hypervisor=True)),
        ({}, {"os_type": "windows"}, Hardware(windows=True)),
        ({}, {"os_type": "linux"}, Hardware()),
        ({}, {"hw_time_hpet": "true"}, Hardware(hpet=True)),
        ({}, {"hw_scsi_model": "lsilogic"}, Hardware(scsi_model="lsilogic")),
        ({}, {"hw_cdrom_bus": "sata"}, Hardware(cdrom_bus="sata")),
        ({}, {"hw_vif_multiqueue_enabled": "true"}, Hardware(nic_queues=4)),
        ({"hw:vif_multiqueue_enabled": "true"}, {}, Hardware(nic_queues=4)),
        ({}, {"hw_video_model": "qxl"}, Hardware(video_model="qxl")),
        ({"hw_video:ram_max_mb": "64"}, {"hw_video_ram": "32"}, Hardware(video_ram_mib=32)),
        ({"hw_video:ram_max_mb": "64"}, {}, Hardware()),
        ({"hw:serial_port_count": "3"}, {}, Hardware(serial_ports=3)),
        ({"hw:serial_port_count": "3"}, {"hw_serial_port_count": "2"}, Hardware(serial_ports=2)),
        ({}, {"hw_serial_port_count": "4"}, Hardware(serial_ports=4)),
        ({}, {"hw_qemu_guest_agent": "no"}, Hardware(guest_agent=False)),
        ({"hw:watchdog_action": "reset"}, {}, Hardware(watchdog_action="reset")),
        ({"hw:watchdog_action": "reset"}, {"hw_watchdog_action": "pause"}, Hardware(watchdog_action="pause")),
        ({"hw:watchdog_action": "reset"}, {"hw_watchdog_action": "disabled"}, Hardware()),
        ({"hw_rng:allowed": "false"}, {"hw_rng_model": "virtio"}, Hardware(rng=False)),
        (
            {"hw_rng:rate_bytes": "64", "hw_rng:rate_period": "9"},
            {},
            Hardware(limits=Limits(rng={"bytes": 64, "period": 9})),
        ),
        ({}, {"hw_pointer_model": "usbtablet"}, Hardware(tablet_bus="usb")),
        ({}, {"hw_input_bus": "virtio"}, Hardware(tablet_bus="virtio", keyboard_bus="virtio")),
        ({"hw:tpm_version": "2.0"}, {}, Hardware(tpm=Tpm("2.0"))),
        ({"hw:tpm_version": "2.0"}, {"hw_tpm_model": "tpm-crb"}, Hardware(tpm=Tpm("2.0", "tpm-crb"))),
        ({}, {"hw_tpm_model": "tpm-crb"}, Hardware()),
        (
            {"quota:cpu_shares": "512", "quota:disk_read_iops_sec": "10", "quota:vif_inbound_average": "5"},
            {},
            Hardware(limits=Limits(cpu={"shares": 512}, disk={"read_iops_sec": 10}, inbound={"average": 5})),
        ),
    ],
)
def test_what_they_say_makes_the_machine(
    specs: dict[str, str], given: dict[str, str], machine: Hardware
) -> None:
    assert hardware.build(wanted(specs, given)) == machine


@pytest.mark.parametrize(
    ("vcpus", "specs", "given", "topology"),
    [
        (4, {"hw:cpu_cores": "2"}, {}, Topology(2, 2, 1)),
        (4, {"hw:cpu_cores": "2"}, {"hw_cpu_cores": "4"}, Topology(1, 4, 1)),
        (8, {}, {"hw_cpu_max_sockets": "2"}, Topology(2, 4, 1)),
        (8, {"hw:cpu_max_sockets": "2", "hw:cpu_max_cores": "2"}, {}, Topology(2, 2, 2)),
        (8, {"hw:cpu_sockets": "8"}, {"hw_cpu_max_sockets": "1"}, Topology(1, 8, 1)),
        (3, {}, {"hw_cpu_threads": "2"}, Topology(3, 1, 1)),
        (6, {}, {"hw_cpu_sockets": "1", "hw_cpu_threads": "2"}, Topology(1, 3, 2)),
    ],
)
def test_processors_look_as_near_to_the_wish_as_can_be(
    vcpus: int, specs: dict[str, str], given: dict[str, str], topology: Topology
) -> None:
    assert hardware.build(wanted(specs, given, vcpus=vcpus)).topology == topology


CONFLICTS: list[tuple[dict[str, str], dict[str, str], str]] = [
    (
        {"hw:tpm_version": "2.0"},
        {"hw_tpm_version": "1.2"},
        "has hw:tpm_version extra spec explicitly set to 2.0, conflicting with image demo which has hw_tpm_version "
        "explicitly set to 1.2.",
    ),
    ({"hw:pmu": "true"}, {"hw_pmu": "false"}, "has hw:pmu extra spec explicitly set to true, conflicting"),
    (
        {"hw:vif_multiqueue_enabled": "false"},
        {"hw_vif_multiqueue_enabled": "true"},
        "has hw:vif_multiqueue_enabled extra spec explicitly set to false",
    ),
    (
        {"os:secure_boot": "disabled"},
        {"hw_firmware_type": "uefi", "os_secure_boot": "required"},
        "has os:secure_boot extra spec explicitly set to disabled",
    ),
    ({"os:secure_boot": "required"}, {}, "needs hw_firmware_type=uefi"),
    (
        {"hw:serial_port_count": "1"},
        {"hw_serial_port_count": "2"},
        "Forbidden to exceed flavor value of number of serial ports passed in image meta.",
    ),
    (
        {"hw_video:ram_max_mb": "16"},
        {"hw_video_ram": "32"},
        "The requested amount of video memory 32 is higher than the maximum allowed by flavor 16.",
    ),
    ({}, {"hw_video_ram": "32"}, "higher than the maximum allowed by flavor 0."),
    ({"hw:tpm_version": "1.2"}, {"hw_tpm_model": "tpm-crb"}, "only valid with TPM version 2.0"),
    ({"hw:cpu_max_cores": "2"}, {"hw_cpu_max_cores": "4"}, "Image vCPU limits -1:4:-1 exceeds permitted"),
    ({"hw:cpu_max_cores": "2"}, {"hw_cpu_cores": "4"}, "Image vCPU topology -1:4:-1 exceeds permitted"),
    (
        {},
        {"hw_cpu_max_sockets": "1", "hw_cpu_max_cores": "1", "hw_cpu_max_threads": "1"},
        "impossible to satisfy",
    ),
    ({"quota:vif_inbound_peak": "5"}, {}, "without quota:vif_inbound_average"),
    (
        {"quota:disk_total_bytes_sec": "5", "quota:disk_read_bytes_sec": "5"},
        {},
        "both the total and the parts",
    ),
]


@pytest.mark.parametrize(("specs", "given", "words"), CONFLICTS)
def test_where_they_disagree_the_boot_is_refused_in_words(
    specs: dict[str, str], given: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        hardware.build(wanted(specs, given))
    assert words in refusal.value.message


BAD_SPECS = {
    **{f"hw:cpu_{most}{part}": "0" for most in ("", "max_") for part in ("sockets", "cores", "threads")},
    "hw:boot_menu": "perhaps",
    "hw:serial_port_count": "5",
    "hw:tpm_version": "3",
    "hw:tpm_model": "x",
    "hw:watchdog_action": "explode",
    "hw:vif_multiqueue_enabled": "x",
    "hw:pmu": "x",
    "hw:hide_hypervisor_id": "x",
    "hw_rng:allowed": "x",
    "hw_rng:rate_bytes": "-1",
    "hw_rng:rate_period": "0",
    "hw_video:ram_max_mb": "many",
    "os:secure_boot": "yes",
    "quota:cpu_shares": "1",
    "quota:cpu_period": "999",
    "quota:cpu_quota": "-1",
    **{f"quota:disk_{w}_{of}_sec": "0" for w in ("read", "write", "total") for of in ("bytes", "iops")},
    **{f"quota:vif_{w}_{of}": "x" for w in ("inbound", "outbound") for of in ("average", "peak", "burst")},
}


def test_every_extra_spec_has_a_value_that_cannot_be() -> None:
    assert set(BAD_SPECS) == set(hardware.SPECS)


@pytest.mark.parametrize(("key", "text"), [*BAD_SPECS.items(), ("trait:CUSTOM_GOLD", "perhaps")])
def test_an_extra_spec_that_cannot_be_is_refused_by_its_name(key: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=f"extra spec {key} may not be"):
        hardware.build(wanted({key: text}))


@pytest.mark.parametrize(
    ("specs", "given", "required", "forbidden"),
    [
        ({}, {"hw_disk_bus": "virtio", "hw_vif_model": "virtio", "hw_firmware_type": "bios"}, set(), set()),
        ({}, {"hw_disk_bus": "scsi"}, {"COMPUTE_STORAGE_BUS_SCSI"}, set()),
        ({}, {"hw_cdrom_bus": "sata"}, {"COMPUTE_STORAGE_BUS_SATA"}, set()),
        ({}, {"hw_vif_model": "ne2k_pci"}, {"COMPUTE_NET_VIF_MODEL_NE2K_PCI"}, set()),
        ({}, {"hw_video_model": "qxl"}, {"COMPUTE_GRAPHICS_MODEL_QXL"}, set()),
        (
            {"os:secure_boot": "required"},
            {"hw_firmware_type": "uefi"},
            {"COMPUTE_FIRMWARE_UEFI", SECURE_BOOT},
            set(),
        ),
        (
            {"hw:tpm_version": "2.0", "hw:tpm_model": "tpm-crb"},
            {},
            {"COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_TPM_CRB"},
            set(),
        ),
        ({}, {"hw_tpm_model": "tpm-crb"}, set(), set()),
        (
            {"trait:CUSTOM_GOLD": "required", "trait:CUSTOM_LEAD": "forbidden"},
            {"trait:HW_CPU_X86_AVX": "required"},
            {"CUSTOM_GOLD", "HW_CPU_X86_AVX"},
            {"CUSTOM_LEAD"},
        ),
    ],
)
def test_what_a_host_may_lack_is_asked_for_by_its_trait(
    specs: dict[str, str], given: dict[str, str], required: set[str], forbidden: set[str]
) -> None:
    assert hardware.traits(wanted(specs, given)) == (required, forbidden)


@pytest.mark.parametrize(
    ("specs", "given", "words"), [CONFLICTS[0], CONFLICTS[9], ({"hw:pmu": "x"}, {}, "hw:pmu may not be")]
)
def test_a_server_of_flavor_and_image_that_disagree_is_refused(
    alice: Any, body: Any, image: Image, specs: dict[str, str], given: dict[str, str], words: str
) -> None:
    Flavor.objects.update(extra_specs=specs)
    Image.objects.filter(id=image.id).update(properties=given)
    assert words in refused(alice.post("/servers", body), 400)
    assert not Instance.objects.exists()
    assert not Operation.objects.exists()


def test_extra_specs_are_checked_from_2_86_on(admin: Any, flavor: Flavor) -> None:
    path, wrong = "/flavors/1/os-extra_specs", {"hw:watchdog_action": "explode"}
    assert "hw:watchdog_action" in refused(admin.post(path, {"extra_specs": wrong}), 400)
    assert "hw:watchdog_action" in refused(admin.put(f"{path}/hw:watchdog_action", wrong), 400)
    assert "hw:watchdog_action" not in Flavor.objects.get().extra_specs
    assert admin.at("2.85").post(path, {"extra_specs": wrong}).status_code == 200
    assert admin.post(path, {"extra_specs": {"hw:watchdog_action": "reset", "mine": "x"}}).status_code == 200


def test_a_boot_fetches_the_kernel_and_ramdisk_with_the_disk(alice: Any, body: Any, image: Image) -> None:
    parts = {
        kind: Image.objects.create(
            project_id=alice.project_id, status="active", visibility="private", disk_format=kind
        )
        for kind in ("aki", "ari")
    }
    named = {"kernel_id": str(parts["aki"].id), "ramdisk_id": str(parts["ari"].id)}
    Image.objects.filter(id=image.id).update(properties=named)
    assert alice.post("/servers", body).status_code == 202
    instance = Instance.objects.get()
    assert (instance.kernel_id, instance.ramdisk_id) == tuple(named.values())
    params = Operation.objects.get().params
    assert guests.image_ids(params) == [image.id, parts["aki"].id, parts["ari"].id]


def test_a_server_of_a_deactivated_image_is_refused(alice: Any, body: Any, image: Image) -> None:
    Image.objects.filter(id=image.id).update(status="deactivated")
    assert "is deactivated; only an active image" in refused(alice.post("/servers", body), 400)
