"""Reads just enough of a qcow2 file to say whether it is whole and stands alone.

The layout is QEMU's docs/interop/qcow2.txt, with big-endian numbers.
"""

import struct
import sys
from array import array
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"QFI\xfb"
_V2_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_V3_REST = struct.Struct(">QQQII")
_EXTENSION = struct.Struct(">II")

_CORRUPT, _EXTERNAL_DATA = 1 << 1, 1 << 2
_KNOWN_FEATURES = 0b1111  # dirty, corrupt, external data file, compression type

_EXTENSION_END = 0
_REFUSED_EXTENSIONS = {
    0x44415441: "names an external data file",
    0x0537BE77: "is encrypted",
}

_L1_MAX_BYTES = 1 << 20  # QEMU's limit is 32 MiB; this one is 64 TiB of disk at the usual cluster size
_OFFSET_MASK = 0x00FFFFFFFFFFFE00
_COMPRESSED = 1 << 62


class BadQcow2(Exception):
    """The file is no qcow2 that may be booted; the text completes the sentence "the file …"."""


@dataclass(frozen=True, slots=True)
class Header:
    """The fields that matter; offsets and sizes in bytes."""

    version: int
    cluster_bits: int
    virtual_size: int
    l1_entries: int
    l1_offset: int
    refcount_table_offset: int
    refcount_table_clusters: int

    @property
    def cluster_size(self) -> int:
        """Return the bytes of a cluster."""
        return 1 << self.cluster_bits


def read_header(file: BinaryIO) -> Header:
    """Return the header of file; raises BadQcow2 where it leans on another file or cannot be read."""
    file.seek(0)
    head = file.read(_V2_HEADER.size + _V3_REST.size)
    if len(head) < _V2_HEADER.size or not head.startswith(MAGIC):
        raise BadQcow2("has no qcow2 header")
    _, version, backing_offset, backing_size, cluster_bits, size, crypt, *tables = _V2_HEADER.unpack(
        head[: _V2_HEADER.size]
    )
    l1_entries, l1_offset, refcount_offset, refcount_clusters = tables[:4]
    if backing_offset or backing_size:
        raise BadQcow2("has a backing file; flatten it with `qemu-img convert`")
    if crypt:
        raise BadQcow2("is encrypted")
    if not 9 <= cluster_bits <= 21:
        raise BadQcow2(f"claims clusters of 2^{cluster_bits} bytes; 2^9 to 2^21 are possible")
    _read_extensions(file, _header_length(head, version), 1 << cluster_bits)
    return Header(version, cluster_bits, size, l1_entries, l1_offset, refcount_offset, refcount_clusters)


def check_clusters(file: BinaryIO, header: Header, file_size: int) -> None:
    """Raise BadQcow2 where a table or cluster lies outside the file; reads each table once."""
    cluster = header.cluster_size
    guest_bytes_per_l2 = cluster // 8 * cluster
    if header.l1_entries * 8 > _L1_MAX_BYTES:
        raise BadQcow2(f"claims a first-level table of {header.l1_entries} entries; use larger clusters")
    if header.l1_entries < -(-header.virtual_size // guest_bytes_per_l2):
        raise BadQcow2("has a first-level table too short for its virtual size")
    _within(header.l1_offset, header.l1_entries * 8, cluster, file_size)
    _within(header.refcount_table_offset, header.refcount_table_clusters * cluster, cluster, file_size)
    tables = {entry & _OFFSET_MASK for entry in _read_table(file, header.l1_offset, header.l1_entries)} - {0}
    if len(tables) * cluster > file_size:
        raise BadQcow2("is cut short: its tables alone are longer than the file")
    for offset in sorted(tables):
        _within(offset, cluster, cluster, file_size)
        if _furthest(_read_table(file, offset, cluster // 8), header.cluster_bits) >= file_size:
            raise BadQcow2("is cut short: it refers to clusters beyond its end")


def _header_length(head: bytes, version: int) -> int:
    if version == 2:
        return _V2_HEADER.size
    if version != 3:
        raise BadQcow2(f"is of qcow2 version {version}; 2 and 3 are known")
    if len(head) < _V2_HEADER.size + _V3_REST.size:
        raise BadQcow2("ends within its header")
    features, _, _, refcount_order, length = _V3_REST.unpack_from(head, _V2_HEADER.size)
    if features & _EXTERNAL_DATA:
        raise BadQcow2("keeps its data in another file")
    if features & _CORRUPT:
        raise BadQcow2("is marked corrupt; repair it with `qemu-img check -r all`")
    if features & ~_KNOWN_FEATURES:
        raise BadQcow2(f"needs features that are not known here (bits {features & ~_KNOWN_FEATURES:#x})")
    if refcount_order > 6:
        raise BadQcow2("has an impossible refcount width")
    if length < _V2_HEADER.size + _V3_REST.size or length % 8:
        raise BadQcow2(f"claims a header of {length} bytes")
    return int(length)


def _read_extensions(file: BinaryIO, offset: int, end: int) -> None:
    while offset + _EXTENSION.size <= end:
        file.seek(offset)
        raw = file.read(_EXTENSION.size)
        if len(raw) < _EXTENSION.size:
            raise BadQcow2("ends within its header extensions")
        kind, length = _EXTENSION.unpack(raw)
        if kind == _EXTENSION_END:
            return
        if kind in _REFUSED_EXTENSIONS:
            raise BadQcow2(_REFUSED_EXTENSIONS[kind])
        offset += _EXTENSION.size + -(-length // 8) * 8
    if offset > end:
        raise BadQcow2("has header extensions longer than its first cluster")


def _within(offset: int, length: int, cluster: int, file_size: int) -> None:
    if offset % cluster:
        raise BadQcow2("has a table that does not begin at a cluster")
    if offset + length > file_size:
        raise BadQcow2("is cut short: a table lies beyond its end")


def _read_table(file: BinaryIO, offset: int, entries: int) -> "array[int]":
    file.seek(offset)
    raw = file.read(entries * 8)
    if len(raw) < entries * 8:
        raise BadQcow2("is cut short: a table lies beyond its end")
    table = array("Q", raw)
    if sys.byteorder == "little":
        table.byteswap()
    return table


def _furthest(table: "array[int]", cluster_bits: int) -> int:
    """Return where the furthest cluster of a second-level table begins; 0 where it maps none."""
    compressed_mask = (1 << (62 - (cluster_bits - 8))) - 1
    return max(
        (entry & compressed_mask if entry & _COMPRESSED else entry & _OFFSET_MASK for entry in table),
        default=0,
    )
