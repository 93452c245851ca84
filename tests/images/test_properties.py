"""Properties that shape a guest's machine: refused where they cannot be, at an image's making and its change."""

import uuid
from typing import Any

import pytest

from computecloud.config import ROOT
from computecloud.wire.errors import InvalidInput
from identity.caller import Caller
from images import properties, services
from images.models import Image
from images.states import Status
from tests.images.conftest import Api

A, B = str(uuid.UUID(int=10)), str(uuid.UUID(int=11))
# property: values that can be, values that cannot
VALUES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "hw_disk_bus": (("virtio", "scsi", "sata", "ide", "usb"), ("fdc", "xen", "", "VIRTIO")),
    "hw_cdrom_bus": (("sata", "scsi", "ide", "usb"), ("fdc", "virtio")),
    "hw_scsi_model": (("virtio-scsi", "lsilogic", "lsisas1068"), ("buslogic",)),
    "hw_vif_model": (("virtio", "e1000", "ne2k_pci"), ("vmxnet3", "e1000 ")),
    "hw_vif_multiqueue_enabled": (("true", "Yes", "0", "off"), ("perhaps", "")),
    "hw_machine_type": (
        ("q35", "pc", "virt", "pc-q35-7.2", "pc-i440fx-2.11"),
        ("isapc", "q35,accel=kvm", "pc\n"),
    ),
    "hw_firmware_type": (("bios", "uefi"), ("coreboot",)),
    "os_secure_boot": (("optional", "disabled"), ("yes",)),
    "hw_boot_menu": (("true",), ("5",)),
    "hw_video_model": (("vga", "virtio", "cirrus", "bochs", "qxl", "none"), ("voodoo", "vmvga")),
    "hw_video_ram": (("1", "512"), ("0", "513", "-1", "64M", "²", "9" * 30)),
    "hw_watchdog_action": (("disabled", "none", "pause", "poweroff", "reset"), ("explode",)),
    "hw_rng_model": (("virtio",), ("egd",)),
    "hw_qemu_guest_agent": (("yes", "no"), ("maybe",)),
    "os_require_quiesce": (("yes", "no"), ("often",)),
    "hw_cpu_sockets": (("1", "4096"), ("0", "4097", "two")),
    "hw_cpu_cores": (("1",), ("1.5",)),
    "hw_cpu_threads": (("2",), ("-2",)),
    "hw_cpu_max_sockets": (("1",), ("0",)),
    "hw_cpu_max_cores": (("1",), ("",)),
    "hw_cpu_max_threads": (("1",), ("+1",)),
    "hw_pmu": (("on", "off"), ("half",)),
    "img_hide_hypervisor_id": (("true",), ("x",)),
    "hw_pointer_model": (("usbtablet",), ("mouse",)),
    "hw_input_bus": (("usb", "virtio"), ("ps2",)),
    "hw_serial_port_count": (("1", "4"), ("0", "5")),
    "hw_tpm_version": (("1.2", "2.0"), ("2", "3.0")),
    "hw_tpm_model": (("tpm-tis", "tpm-crb"), ("tpm-spapr",)),
    "hw_time_hpet": (("yes",), ("soon",)),
    "os_type": (("linux", "windows"), ("plan9",)),
    "img_config_drive": (("optional", "mandatory"), ("never",)),
    "kernel_id": ((A,), ("vmlinuz", "", A.upper())),
    "ramdisk_id": ((), ("../initrd",)),
    "os_command_line": (("root=/dev/vda quiet",), ("a\x1b[2J", "x" * 2_049)),
    "trait:HW_CPU_X86_AVX": (("required",), ("forbidden", "yes")),
}
CAN = [(name, text) for name, (good, _) in VALUES.items() for text in good]
CANNOT = [(name, text) for name, (_, bad) in VALUES.items() for text in bad]


def test_every_property_has_values_that_cannot_be() -> None:
    assert set(VALUES) - {"trait:HW_CPU_X86_AVX"} == set(properties.RULES)
    assert all(bad for _, bad in VALUES.values())


@pytest.mark.parametrize(("name", "text"), CAN)
def test_a_value_that_can_be_is_taken(name: str, text: str) -> None:
    properties.check({name: text})


@pytest.mark.parametrize(("name", "text"), CANNOT)
def test_a_value_that_cannot_be_is_refused_by_its_propertys_name(name: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=f"Property {name} may not be "):
        properties.check({name: text})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hw_disk_bus": "ide", "hw_machine_type": "q35"}, "hw_disk_bus=ide needs hw_machine_type=pc"),
        (
            {"hw_cdrom_bus": "ide", "hw_machine_type": "pc-q35-7.2"},
            "hw_cdrom_bus=ide needs hw_machine_type=pc",
        ),
        ({"os_secure_boot": "required"}, "needs hw_firmware_type=uefi"),
        (
            {"os_secure_boot": "required", "hw_firmware_type": "uefi", "hw_machine_type": "pc"},
            "needs hw_machine_type=q35",
        ),
        ({"hw_tpm_version": "1.2", "hw_tpm_model": "tpm-crb"}, "tpm-crb needs hw_tpm_version=2.0"),
        (
            {"os_require_quiesce": "yes", "hw_qemu_guest_agent": "no"},
            "os_require_quiesce needs the guest agent",
        ),
        ({"ramdisk_id": A}, "ramdisk_id needs kernel_id"),
        ({"hw_cpu_cores": "4", "hw_cpu_max_cores": "2"}, "hw_cpu_cores may not be more than"),
    ],
)
def test_values_that_do_not_go_together_are_refused_in_words(given: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        properties.check(given)


def test_what_goes_together_is_taken() -> None:
    properties.check({"hw_disk_bus": "ide", "hw_machine_type": "pc"})
    properties.check({"os_secure_boot": "required", "hw_firmware_type": "uefi", "hw_tpm_version": "2.0"})
    properties.check({"kernel_id": A, "ramdisk_id": B, "hw_cpu_cores": "2", "hw_cpu_max_cores": "2"})


def test_an_image_with_a_wrong_property_is_not_made(as_alice: Api) -> None:
    answer = as_alice.post("images", {"name": "x", "hw_disk_bus": "floppy"})
    assert answer.status_code == 400
    assert "Property hw_disk_bus may not be 'floppy': it must be one of virtio" in answer.json()["message"]
    assert not Image.objects.exists()


def test_a_patch_to_a_wrong_property_is_refused_and_changes_nothing(as_alice: Api) -> None:
    path = f"images/{as_alice.made(name='x', hw_machine_type='q35')['id']}"
    before = as_alice.get(path).json()
    for name, value in (("hw_disk_bus", "floppy"), ("hw_disk_bus", "ide"), ("hw_machine_type", "abacus")):
        assert as_alice.patch(path, {"op": "add", "path": f"/{name}", "value": value}).status_code == 400
    assert as_alice.get(path).json() == before
    change = {"op": "add", "path": "/hw_disk_bus", "value": "scsi"}
    assert as_alice.patch(path, change).json()["hw_disk_bus"] == "scsi"


def test_an_image_from_before_the_rules_can_still_be_edited(as_alice: Api) -> None:
    path = f"images/{as_alice.made(name='x')['id']}"
    Image.objects.update(properties={"hw_disk_bus": "floppy"})
    assert as_alice.patch(path, {"op": "replace", "path": "/name", "value": "y"}).status_code == 200
    assert as_alice.patch(path, {"op": "remove", "path": "/hw_disk_bus"}).status_code == 200


@pytest.mark.parametrize(
    ("disk", "container", "status"),
    [
        ("aki", "aki", 201),
        ("ari", "ari", 201),
        ("ami", "ami", 201),
        ("aki", None, 201),
        ("aki", "bare", 400),
        ("raw", "ami", 400),
        ("aki", "ari", 400),
    ],
)
def test_a_kernels_formats_must_match(as_alice: Api, disk: str, container: str | None, status: int) -> None:
    answer = as_alice.post("images", {"disk_format": disk, "container_format": container})
    assert answer.status_code == status, answer.content
    if status == 400:
        assert "Invalid mix of disk and container formats." in answer.json()["message"]


def test_a_patch_may_not_mix_formats_either(as_alice: Api) -> None:
    path = f"images/{as_alice.made(name='x', disk_format='aki', container_format='aki')['id']}"
    change = {"op": "replace", "path": "/disk_format", "value": "raw"}
    assert as_alice.patch(path, change).status_code == 400


def test_a_ramdisk_may_be_an_archive_and_a_machine_image_must_be_raw(as_alice: Api, state: Any) -> None:
    gzip = b"\x1f\x8b\x08" + bytes(100)
    for kind, status in (("aki", 204), ("ari", 204), ("ami", 400)):
        path = f"images/{as_alice.made(name=kind, disk_format=kind, container_format=kind)['id']}/file"
        assert as_alice.put(path, gzip, content_type="application/octet-stream").status_code == status


def an_image(alice: Caller, disk_format: str, **columns: Any) -> Image:
    usual: dict[str, Any] = {
        "project_id": alice.project_id,
        "status": Status.ACTIVE,
        "visibility": "private",
        "disk_format": disk_format,
        "container_format": disk_format,
    }
    return Image.objects.create(**(usual | columns))


@pytest.mark.django_db
def test_an_image_boots_with_a_kernel_and_ramdisk_that_its_user_sees(alice: Caller) -> None:
    kernel, ramdisk = an_image(alice, "aki"), an_image(alice, "ari")
    named = {"kernel_id": str(kernel.id), "ramdisk_id": str(ramdisk.id)}
    assert services.bootable(an_image(alice, "ami", properties=named).id, alice).properties == named


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        ({"project_id": "b" * 32}, "the kernel_id of the image, could not be found"),
        ({"status": Status.DEACTIVATED}, "is deactivated, not active"),
        ({"status": Status.DELETED}, "could not be found"),
        ({"disk_format": "raw"}, "is raw, not aki"),
    ],
)
def test_a_kernel_that_cannot_be_used_is_refused_at_boot(
    alice: Caller, kernel: dict[str, Any], words: str
) -> None:
    made = an_image(alice, **({"disk_format": "aki"} | kernel))
    image = an_image(alice, "ami", properties={"kernel_id": str(made.id)})
    with pytest.raises(InvalidInput, match=words):
        services.bootable(image.id, alice)


@pytest.mark.django_db
def test_a_kernel_that_is_no_id_is_refused_at_boot(alice: Caller) -> None:
    with pytest.raises(InvalidInput, match="could not be found"):
        services.bootable(an_image(alice, "ami", properties={"kernel_id": "x"}).id, alice)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["aki", "ari"])
def test_a_kernel_alone_is_no_disk_to_boot(alice: Caller, kind: str) -> None:
    with pytest.raises(InvalidInput, match="is no disk"):
        services.bootable(an_image(alice, kind).id, alice)


@pytest.mark.django_db
def test_a_deactivated_image_is_not_booted(alice: Caller) -> None:
    with pytest.raises(InvalidInput, match="is deactivated; only an active image"):
        services.bootable(an_image(alice, "raw", status=Status.DEACTIVATED).id, alice)


def test_a_member_may_reject_and_then_no_longer_lists_the_image(as_alice: Api, as_bob: Api) -> None:
    path = f"images/{as_alice.made(name='offered')['id']}"
    assert as_alice.post(f"{path}/members", {"member": "b" * 32}).status_code == 200
    member = f"{path}/members/{'b' * 32}"
    assert as_bob.put(member, {"status": "accepted"}).status_code == 200
    assert as_bob.names("?visibility=shared") == ["offered"]
    assert as_bob.put(member, {"status": "rejected"}).json()["status"] == "rejected"
    assert as_bob.names("?visibility=shared") == []
    assert as_bob.names("?visibility=shared&member_status=rejected") == ["offered"]
    assert as_bob.names("?member_status=pending") == []
    assert as_alice.get(member).json()["status"] == "rejected"


def test_the_manual_tells_of_every_property() -> None:
    told = (ROOT / "docs" / "hardware.md").read_text()
    assert [name for name in properties.RULES if f"`{name}`" not in told] == []
