"""The config drive, read back by a reader of our own that knows ISO 9660 and Rock Ridge as Linux does."""

import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypervisors.driver import CallFailed
from hypervisors.libvirt import configdrive

SECTOR = 2048
FILES = {
    "openstack/latest/meta_data.json": b'{"uuid": "x"}',
    "openstack/latest/network_data.json": b"{}",
    "openstack/2018-08-27/user_data": bytes(range(256)) * 257,
    "openstack/content/0000": b"",
    "ec2/2009-04-04/meta-data.json": b"{}",
    "Ünï code/With Blanks and a longer name than any of ISO 9660.tar.gz": b"long",
}


def read(image: bytes) -> dict[str, bytes]:
    """Return path to content by the names of Rock Ridge (System Use Sharing Protocol, IEEE P1281 and P1282)."""
    primary = image[16 * SECTOR : 17 * SECTOR]
    assert primary[:6] == b"\x01CD001"
    extent, size = _place(primary[156:190])
    return dict(_walk(image, extent, size, ""))


def _place(record: bytes) -> tuple[int, int]:
    return struct.unpack_from("<I", record, 2)[0], struct.unpack_from("<I", record, 10)[0]


def _walk(image: bytes, extent: int, size: int, prefix: str) -> Iterator[tuple[str, bytes]]:
    offset, end = extent * SECTOR, extent * SECTOR + size
    while offset < end:
        length = image[offset]
        if length == 0:
            offset = (offset // SECTOR + 1) * SECTOR
            continue
        record = image[offset : offset + length]
        offset += length
        name_length = record[32]
        if record[33 : 33 + name_length] in (b"\x00", b"\x01"):
            continue
        name = _rock_ridge_name(image, record[33 + name_length + (1 - name_length % 2) :])
        child, child_size = _place(record)
        if record[25] & 2:
            yield from _walk(image, child, child_size, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", image[child * SECTOR : child * SECTOR + child_size]


def _rock_ridge_name(image: bytes, area: bytes) -> str:
    name = b""
    while len(area) >= 4 and area[2]:
        entry, area = area[: area[2]], area[area[2] :]
        if entry[:2] == b"NM":
            name += entry[5:]
        elif entry[:2] == b"CE":
            block, offset, length = (struct.unpack_from("<I", entry, at)[0] for at in (4, 12, 20))
            area = image[block * SECTOR + offset : block * SECTOR + offset + length]
    return name.decode()


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Return a config drive with FILES."""
    configdrive.make(FILES, tmp_path / "config.iso")
    return tmp_path / "config.iso"


def test_a_guest_reads_the_long_lower_case_names_and_the_content(drive: Path) -> None:
    assert read(drive.read_bytes()) == FILES


def test_the_label_is_what_guests_look_for(drive: Path) -> None:
    label = drive.read_bytes()[16 * SECTOR + 40 : 16 * SECTOR + 72]
    assert label.rstrip() == b"config-2"


@pytest.mark.skipif(not shutil.which("blkid"), reason="blkid is not installed")
def test_linux_finds_it_by_its_label(drive: Path) -> None:
    told = subprocess.run(
        ["blkid", "-p", "-o", "export", drive], check=True, capture_output=True, text=True
    ).stdout
    assert {"LABEL=config-2", "TYPE=iso9660"} <= set(told.split())


def test_an_empty_drive_is_a_drive(tmp_path: Path) -> None:
    configdrive.make({}, tmp_path / "config.iso")
    assert read((tmp_path / "config.iso").read_bytes()) == {}


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../up", "a/../../b", ".."])
def test_a_name_that_leads_out_of_the_drive_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CallFailed, match="holds no file"):
        configdrive.make({name: b""}, tmp_path / "config.iso")
    assert not (tmp_path / "config.iso").exists()


def test_a_name_too_long_for_a_drive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="no config drive can be made"):
        configdrive.make({"a" * 300: b""}, tmp_path / "config.iso")
    assert not (tmp_path / "config.iso").exists()
