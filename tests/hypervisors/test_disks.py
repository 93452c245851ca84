"""Disk files: whole or not there, over a base that stands alone, in a folder that goes as a whole."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from hypervisors.driver import CallFailed, Disk, GuestSpec
from hypervisors.hardware import DirectBoot, Hardware
from hypervisors.libvirt import overlay
from hypervisors.libvirt.folders import GuestFolder, GuestFolders
from hypervisors.libvirt.overlay import GIB
from tests.hypervisors.conftest import make_spec


def qemu_img(*arguments: str | Path) -> str:
    """Run qemu-img and return what it prints."""
    return subprocess.run(["qemu-img", *arguments], check=True, capture_output=True, text=True).stdout


def info(path: Path) -> dict[str, object]:
    """Return what qemu-img says of a disk."""
    return dict(json.loads(qemu_img("info", "--output=json", path)))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return a qcow2 image of 2 GiB."""
    qemu_img("create", "-q", "-f", "qcow2", tmp_path / "base", "2G")
    return tmp_path / "base"


@pytest.fixture
def folder(tmp_path: Path) -> GuestFolder:
    """Return a guest's folder that is not there yet."""
    return GuestFolders(tmp_path / "guests").of(uuid4())


@pytest.fixture
def spec(base: Path) -> GuestSpec:
    """Return a guest over the image."""
    return replace(make_spec(base=None), disks=(Disk("root", 3, base, "qcow2"), Disk("ephemeral0", 1)))


def test_a_disk_is_an_overlay_of_its_size_over_its_image(
    folder: GuestFolder, spec: GuestSpec, base: Path
) -> None:
    folder.make(spec, limit_s=10)
    root = info(folder.disk("root"))
    assert root["virtual-size"] == 3 * GIB
    assert root["full-backing-filename"] == str(base)
    assert root["backing-filename-format"] == "qcow2"
    assert "backing-filename" not in info(folder.disk("ephemeral0"))


def test_a_disk_without_a_size_is_as_large_as_its_image(
    folder: GuestFolder, spec: GuestSpec, base: Path
) -> None:
    folder.make(replace(spec, disks=(Disk("root", 0, base, "qcow2"),)), limit_s=10)
    assert info(folder.disk("root"))["virtual-size"] == 2 * GIB


def test_a_raw_image_is_a_base_too(folder: GuestFolder, spec: GuestSpec, bootable: Path) -> None:
    folder.make(replace(spec, disks=(Disk("root", 1, bootable, "raw"),)), limit_s=10)
    assert info(folder.disk("root"))["backing-filename-format"] == "raw"


def test_only_the_owner_reads_what_a_tenant_wrote(folder: GuestFolder, spec: GuestSpec) -> None:
    folder.make(spec, limit_s=10)
    for path in (folder.disk("root"), folder.config_drive):
        assert path.stat().st_mode & 0o777 == 0o600
    assert folder.path.stat().st_mode & 0o777 == 0o711


def test_disks_that_are_whole_are_kept(folder: GuestFolder, spec: GuestSpec) -> None:
    folder.make(spec, limit_s=10)
    before = {path.name: path.stat().st_ino for path in folder.path.glob("*.[qi]*")}
    folder.make(replace(spec, config_drive={"other": b"content"}), limit_s=10)
    assert {path.name: path.stat().st_ino for path in folder.path.glob("*.[qi]*")} == before
    assert set(before) == {"root.qcow2", "ephemeral0.qcow2", "config.iso"}


def test_a_half_made_disk_is_never_taken_for_whole(folder: GuestFolder, spec: GuestSpec) -> None:
    folder.path.mkdir(parents=True)
    for name in (".root.qcow2.half", ".config.iso.half"):
        (folder.path / name).write_bytes(b"the worker was killed while it wrote this")
    folder.make(spec, limit_s=10)
    assert info(folder.disk("root"))["format"] == "qcow2"
    assert sorted(os.listdir(folder.path)) == ["config.iso", "ephemeral0.qcow2", "epoch", "root.qcow2"]


def test_a_disk_smaller_than_its_image_is_refused(folder: GuestFolder, spec: GuestSpec, base: Path) -> None:
    with pytest.raises(CallFailed, match="cannot hold its image"):
        folder.make(replace(spec, disks=(Disk("root", 1, base, "qcow2"),)), limit_s=10)


def test_a_disk_of_no_size_and_no_image_is_refused(folder: GuestFolder, spec: GuestSpec) -> None:
    with pytest.raises(CallFailed, match="neither a size nor an image"):
        folder.make(replace(spec, disks=(Disk("root", 0),)), limit_s=10)


def test_an_image_that_names_another_file_is_refused(tmp_path: Path, base: Path) -> None:
    backed, outside = tmp_path / "backed", tmp_path / "outside"
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", backed)
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path}/data", outside, "1G")
    for image in (backed, outside):
        with pytest.raises(CallFailed, match="does not stand alone"):
            overlay.virtual_size(image, "qcow2")


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", b"KDMV" + bytes(200), b"QFI\xfa" + bytes(200)])
def test_an_image_that_is_no_qcow2_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(CallFailed, match="is not a qcow2 file"):
        overlay.virtual_size(tmp_path / "image", "qcow2")


def test_an_image_of_another_format_is_refused_with_advice(base: Path) -> None:
    with pytest.raises(CallFailed, match="convert it"):
        overlay.virtual_size(base, "vmdk")


def test_an_image_that_is_gone_may_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="cannot be read") as failed:
        overlay.virtual_size(tmp_path / "none", "raw")
    assert failed.value.retryable


def test_a_folder_goes_with_all_in_it(folder: GuestFolder, spec: GuestSpec) -> None:
    folder.make(spec, limit_s=10)
    (folder.path / "nvram").mkdir()
    folder.remove()
    assert not folder.path.exists()
    folder.remove()


def test_only_folders_named_by_a_uuid_are_guests(tmp_path: Path) -> None:
    folders = GuestFolders(tmp_path)
    assert GuestFolders(tmp_path / "none").uuids() == ()
    uuid = UUID(int=5)
    for name in (str(uuid), "lost+found", uuid.hex, str(UUID(int=6)).upper() + "x"):
        (tmp_path / name).mkdir()
    assert folders.uuids() == (uuid,)


def test_an_epoch_is_noted_only_where_there_is_a_folder(folder: GuestFolder) -> None:
    folder.write_epoch(4)
    assert folder.epoch() is None
    assert not folder.path.exists()
    folder.path.mkdir(parents=True)
    folder.write_epoch(4)
    folder.write_epoch(5)
    assert folder.epoch() == 5
    assert os.listdir(folder.path) == ["epoch"]


def test_the_console_goes_on_from_the_log_before(folder: GuestFolder) -> None:
    assert folder.console_end(10) == b""
    folder.path.mkdir(parents=True)
    folder.console.write_bytes(b"56789")
    folder.console.with_name("console.log.0").write_bytes(b"01234")
    assert folder.console_end(3) == b"789"
    assert folder.console_end(7) == b"3456789"
    assert folder.console_end(100) == b"0123456789"
    assert folder.console_end(-1) == b""


def test_a_kernel_and_ramdisk_are_copied_once_and_for_their_owner_alone(
    folder: GuestFolder, spec: GuestSpec, tmp_path: Path
) -> None:
    kernel, ramdisk = tmp_path / "k", tmp_path / "r"
    kernel.write_bytes(b"kernel")
    ramdisk.write_bytes(b"ramdisk")
    booted = replace(spec, hardware=Hardware(direct_boot=DirectBoot(kernel, ramdisk, "quiet")))
    folder.make(booted, limit_s=60)
    kernel.unlink()
    ramdisk.write_bytes(b"another")
    folder.make(booted, limit_s=60)
    assert (folder.kernel.read_bytes(), folder.ramdisk.read_bytes()) == (b"kernel", b"ramdisk")
    assert folder.kernel.stat().st_mode & 0o777 == 0o600


def test_a_kernel_that_is_not_there_leaves_no_half_of_it(
    folder: GuestFolder, spec: GuestSpec, tmp_path: Path
) -> None:
    booted = replace(spec, hardware=Hardware(direct_boot=DirectBoot(tmp_path / "nowhere")))
    with pytest.raises(FileNotFoundError):
        folder.make(booted, limit_s=60)
    assert not folder.kernel.exists()
