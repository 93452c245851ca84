"""Whether a file is what its owner says it is.

The signatures are those that QEMU's block drivers probe for, and those of archives, the commonest mistake.
Guests are started with the declared format, never a probed one; what is refused could not boot as declared.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from computecloud.wire.errors import InvalidInput
from images.qcow2 import MAGIC, BadQcow2, check_clusters, read_header
from images.states import PARTS, DiskFormat

VIRTUAL_MAX_BYTES = 16 << 40
_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Signature:
    looks: str
    offset: int
    magic: bytes


_SIGNATURES = (
    _Signature("qcow2", 0, MAGIC),
    _Signature("qed", 0, b"QED\0"),
    _Signature("vmdk", 0, b"KDMV"),
    _Signature("vmdk", 0, b"COWD"),
    _Signature("vhd", 0, b"conectix"),
    _Signature("vhdx", 0, b"vhdxfile"),
    _Signature("vdi", 0x40, b"\x7f\x10\xda\xbe"),
    _Signature("luks", 0, b"LUKS\xba\xbe"),
    _Signature("parallels", 0, b"WithoutFreeSpace"),
    _Signature("parallels", 0, b"WithouFreSpacExt"),
    _Signature("bochs", 0, b"Bochs Virtual HD Image"),
    _Signature("cloop", 0, b"#!/bin/sh\n#V2.0 Format"),
    _Signature("gzip archive", 0, b"\x1f\x8b\x08"),
    _Signature("xz archive", 0, b"\xfd7zXZ\0"),
    _Signature("zstd archive", 0, b"\x28\xb5\x2f\xfd"),
    _Signature("bzip2 archive", 0, b"BZh"),
    _Signature("zip archive", 0, b"PK\x03\x04"),
    _Signature("7z archive", 0, b"7z\xbc\xaf\x27\x1c"),
    _Signature("tar archive", 257, b"ustar"),
)


class NotWhatItClaims(InvalidInput):
    """The bytes are not what the image's disk_format says, or lean on something outside them."""


def inspect(path: Path, disk_format: DiskFormat) -> int:
    """Return the virtual size in bytes of the image at path; raises NotWhatItClaims.

    A kernel or ramdisk may be anything: it is loaded as bytes, and ramdisks are archives.
    """
    size = path.stat().st_size
    if size == 0:
        raise NotWhatItClaims("The file is empty.")
    with path.open("rb") as file:
        looks = looks_like(file.read(_HEAD_BYTES))
        wanted = DiskFormat.RAW if disk_format is DiskFormat.AMI else disk_format
        if disk_format not in PARTS and looks != wanted:
            raise NotWhatItClaims(f"The image is declared {disk_format}, but its content is {looks}.")
        virtual = _inspect_qcow2(file, size) if disk_format is DiskFormat.QCOW2 else size
    if not 0 < virtual <= VIRTUAL_MAX_BYTES:
        raise NotWhatItClaims(
            f"The file claims a disk of {virtual} bytes; 1 to {VIRTUAL_MAX_BYTES} are accepted."
        )
    return virtual


def looks_like(head: bytes) -> str:
    """Return the format whose signature the first 4 KiB of a file carry; "raw" where they carry none."""
    for signature in _SIGNATURES:
        if head.startswith(signature.magic, signature.offset):
            return signature.looks
    return "vmdk" if _is_vmdk_descriptor(head) else "raw"


def _is_vmdk_descriptor(head: bytes) -> bool:
    """Tell whether head is VMDK's text: comments and blank lines, then version=1 to 3 (QEMU's own rule)."""
    for line in head.splitlines():
        text = line.strip()
        if text and not text.startswith(b"#"):
            return text.lower().replace(b" ", b"") in (b"version=1", b"version=2", b"version=3")
    return False


def _inspect_qcow2(file: BinaryIO, size: int) -> int:
    try:
        header = read_header(file)
        if header.virtual_size <= VIRTUAL_MAX_BYTES:
            check_clusters(file, header, size)
    except BadQcow2 as error:
        raise NotWhatItClaims(f"The file {error}.") from error
    return header.virtual_size
