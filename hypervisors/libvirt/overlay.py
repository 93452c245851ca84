"""Disk files: qcow2 overlays over a base that stands alone, and blank ones. Form: QEMU's docs/interop/qcow2.txt."""

import os
import struct
import subprocess
from pathlib import Path

import structlog

from hypervisors.driver import CallFailed, Disk

log = structlog.get_logger()

GIB = 1024**3
_QCOW2_MAGIC = b"QFI\xfb"
_QCOW2_HEAD = struct.Struct(">4sIQIIQ")  # magic, version, backing file offset and length, cluster bits, size
_INCOMPATIBLE_AT = 72
_EXTERNAL_DATA = 1 << 2


def make(disk: Disk, path: Path, *, limit_s: float) -> None:
    """Make the disk's file, whole or not at all; raises CallFailed."""
    command = ["qemu-img", "create", "-q", "-f", "qcow2"]
    size = disk.size_gib * GIB
    if disk.base is not None:
        least = virtual_size(disk.base, disk.base_format)
        if size and size < least:
            raise CallFailed(
                f"disk {disk.name} of {disk.size_gib} GiB cannot hold its image of {least} bytes"
            )
        command += ["-b", str(disk.base.absolute()), "-F", disk.base_format]
        size = size or least
    if not size:
        raise CallFailed(f"disk {disk.name} has neither a size nor an image")
    half = path.with_name(f".{path.name}.half")
    half.unlink(missing_ok=True)
    _run([*command, str(half), str(size)], limit_s)
    half.chmod(0o600)
    finish(half, path)


def finish(half: Path, path: Path) -> None:
    """Give a file that is whole its name, safe from a power cut."""
    for opened, flags in ((half, os.O_RDWR), (path.parent, os.O_RDONLY)):
        descriptor = os.open(opened, flags | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if opened is half:
            half.replace(path)


def virtual_size(base: Path, disk_format: str) -> int:
    """Return how many bytes a guest sees of a base; raises CallFailed where it is not what it should be."""
    try:
        if disk_format == "raw":
            return base.stat().st_size
        with base.open("rb") as file:
            head = file.read(_INCOMPATIBLE_AT + 8)
    except OSError as error:
        raise CallFailed(f"the image {base} cannot be read: {error.strerror}", retryable=True) from error
    if disk_format != "qcow2":
        raise CallFailed(f"no disk is made of a {disk_format} image: convert it to qcow2 or raw")
    if len(head) < _INCOMPATIBLE_AT + 8 or not head.startswith(_QCOW2_MAGIC):
        raise CallFailed(f"the image {base} is not a qcow2 file")
    _, version, backing_offset, _, _, size = _QCOW2_HEAD.unpack_from(head)
    (incompatible,) = struct.unpack_from(">Q", head, _INCOMPATIBLE_AT)
    if backing_offset or (version >= 3 and incompatible & _EXTERNAL_DATA):
        raise CallFailed(f"the image {base} does not stand alone: it names another file")
    return int(size)


def _run(command: list[str], limit_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise CallFailed(
            f"{command[0]} took longer than {limit_s:g} s and was ended", retryable=True
        ) from error
    except OSError as error:
        raise CallFailed(f"{command[0]} does not run: {error.strerror}; is qemu-utils installed?") from error
    if done.returncode:
        said = done.stderr.strip()
        log.warning("qemu_img.failed", command=command, said=said)
        raise CallFailed(
            f"{command[0]} failed: {said.rpartition(': ')[2]}", retryable=True
        )  # no path for tenants
