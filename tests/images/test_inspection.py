"""A file must be what it says, stand alone and be whole."""

import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from images.inspection import VIRTUAL_MAX_BYTES, NotWhatItClaims, inspect, looks_like
from images.states import DiskFormat
from tests.images.conftest import GIB, KIB, MIB, qcow2_bytes

FileOf = Callable[[bytes], Path]
QCOW2, RAW = DiskFormat.QCOW2, DiskFormat.RAW


def qemu_img(*args: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, args)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("noise") / "noise.raw"
    path.write_bytes(random.Random(1).randbytes(3 * MIB))
    return path


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-c"],
        ["-o", "compat=0.10"],
        ["-o", "cluster_size=512"],
        ["-o", "cluster_size=2M"],
        ["-o", "preallocation=metadata"],
        ["-o", "lazy_refcounts=on"],
        ["-c", "-o", "compression_type=zstd"],
    ],
)
def test_what_qemu_img_writes_is_accepted_with_its_virtual_size(
    noise: Path, tmp_path: Path, options: list[str]
) -> None:
    made = tmp_path / "made.qcow2"
    qemu_img("convert", "-O", "qcow2", *options, noise, made)
    assert inspect(made, QCOW2) == 3 * MIB


def test_an_empty_qcow2_is_accepted(tmp_path: Path) -> None:
    qemu_img("create", "-f", "qcow2", tmp_path / "empty.qcow2", "10G")
    assert inspect(tmp_path / "empty.qcow2", QCOW2) == 10 * GIB


def test_a_raw_file_is_as_large_as_its_disk(noise: Path) -> None:
    assert inspect(noise, RAW) == 3 * MIB


def test_the_handmade_qcow2_of_these_tests_is_sound(file_of: FileOf) -> None:
    path = file_of(qcow2_bytes())
    assert inspect(path, QCOW2) == MIB
    qemu_img("info", "-f", "qcow2", path)


EXTERNAL_NAME = struct.pack(">II8s", 0x44415441, 8, b"/etc/xyz")
LUKS_HEADER = struct.pack(">II16s", 0x0537BE77, 16, b"")
L2_OUTSIDE = struct.pack(">Q", 1 << 40 | 1 << 63)
L2_UNALIGNED = struct.pack(">Q", 3 * 65536 + 512)


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (b"", "empty"),
        (qcow2_bytes(backing=1024), "backing file"),
        (qcow2_bytes(version=2, backing=1024), "backing file"),
        (qcow2_bytes(features=1 << 2), "another file"),
        (qcow2_bytes(extensions=EXTERNAL_NAME), "external data file"),
        (qcow2_bytes(version=2, extensions=EXTERNAL_NAME), "external data file"),
        (qcow2_bytes(extensions=LUKS_HEADER), "encrypted"),
        (qcow2_bytes(extensions=struct.pack(">II", 0x23852875, 1 << 30)), "longer than its first cluster"),
        (qcow2_bytes(features=1 << 1), "corrupt"),
        (qcow2_bytes(features=1 << 4), "not known here"),
        (qcow2_bytes(features=1 << 63), "not known here"),
        (qcow2_bytes(crypt=2), "encrypted"),
        (qcow2_bytes(version=1), "version 1"),
        (qcow2_bytes(version=4), "version 4"),
        (qcow2_bytes(virtual=0), "0 bytes"),
        (qcow2_bytes(virtual=VIRTUAL_MAX_BYTES + 512, l1_entries=1), "bytes; 1 to"),
        (qcow2_bytes(virtual=2**63), "bytes; 1 to"),
        (qcow2_bytes(virtual=GIB), "too short"),
        (qcow2_bytes(l1_entries=2**32 - 1, l1=b""), "use larger clusters"),
        (qcow2_bytes(l1_entries=100_000, l1=b""), "cut short"),
        (qcow2_bytes(l1=L2_OUTSIDE), "cut short"),
        (qcow2_bytes(l1=L2_UNALIGNED, tail=bytes(MIB)), "begin at a cluster"),
        (qcow2_bytes()[:100], "ends within"),
        (qcow2_bytes()[:40], "no qcow2 header"),
        (qcow2_bytes()[:65536], "cut short"),
    ],
)
def test_a_qcow2_that_leans_on_others_or_is_not_whole_is_refused(
    file_of: FileOf, content: bytes, because: str
) -> None:
    with pytest.raises(NotWhatItClaims, match=because):
        inspect(file_of(content), QCOW2)


@pytest.mark.parametrize("bits", [0, 8, 22, 63, 2**32 - 1])
def test_impossible_cluster_sizes_are_refused(file_of: FileOf, bits: int) -> None:
    content = bytearray(qcow2_bytes())
    content[20:24] = struct.pack(">I", bits)
    with pytest.raises(NotWhatItClaims, match="clusters of"):
        inspect(file_of(bytes(content)), QCOW2)


@pytest.mark.parametrize("options", [[], ["-c"]])
def test_a_truncated_qcow2_is_refused(noise: Path, tmp_path: Path, options: list[str]) -> None:
    made = tmp_path / "made.qcow2"
    qemu_img("convert", "-O", "qcow2", *options, noise, made)
    with made.open("r+b") as file:
        file.truncate(2 * MIB)
    with pytest.raises(NotWhatItClaims, match="cut short"):
        inspect(made, QCOW2)


@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed", "parallels", "qcow"])
def test_a_raw_image_that_is_really_another_format_is_refused(noise: Path, tmp_path: Path, kind: str) -> None:
    made = tmp_path / f"made.{kind}"
    qemu_img("convert", "-O", kind, noise, made)
    with pytest.raises(NotWhatItClaims, match="declared raw"):
        inspect(made, RAW)


@pytest.mark.parametrize(
    ("head", "looks"),
    [
        (b"# Disk DescriptorFile\nversion=1\nCID=1\n", "vmdk"),
        (b"\n# a comment\n\nVERSION = 3\r\n", "vmdk"),
        (b"#!/bin/sh\necho\n", "raw"),
        (b"hello " * 700, "raw"),
        (b"\x1f\x8b\x08\0", "gzip archive"),
        (b"\xfd7zXZ\0\0", "xz archive"),
        (bytes(257) + b"ustar", "tar archive"),
        (b"LUKS\xba\xbe\0\1", "luks"),
        (b"\xff" * KIB, "raw"),
        (b"Q", "raw"),
    ],
)
def test_a_head_is_recognised_by_its_signature(head: bytes, looks: str) -> None:
    assert looks_like(head) == looks


def test_a_raw_file_declared_qcow2_is_refused(noise: Path) -> None:
    with pytest.raises(NotWhatItClaims, match="declared qcow2, but its content is raw"):
        inspect(noise, QCOW2)


def test_no_garbled_qcow2_breaks_the_inspection(file_of: FileOf, noise: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.qcow2"
    qemu_img("convert", "-O", "qcow2", "-o", "cluster_size=512", noise.parent / "noise.raw", made)
    sound = made.read_bytes()[: 256 * KIB]
    chance = random.Random(7)
    refused = 0
    for _ in range(1_500):
        garbled = bytearray(sound[: chance.choice([40, 73, 104, 512, 4096, 65536, len(sound)])])
        for _ in range(chance.randint(1, 12)):
            place = chance.randrange(4, min(len(garbled), chance.choice([112, 600, 70_000])))
            garbled[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        try:
            assert 0 < inspect(file_of(bytes(garbled)), QCOW2) <= VIRTUAL_MAX_BYTES
        except NotWhatItClaims:
            refused += 1
    assert refused > 1_000
