"""Large files that are whole or not there: written beside their place under a lock, synced, then renamed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

CHUNK_BYTES = 256 << 10
_ZEROS = bytes(CHUNK_BYTES)
_FICLONE = 0x40049409  # ioctl(2): linux/fs.h
_SUFFIX = ".part"


class Busy(Exception):
    """Somebody who is alive is writing this file."""


class Part:
    """The unfinished form of a file; its holder is the only writer, and the lock dies with the process."""

    def __init__(self, final: Path, descriptor: int) -> None:
        self.final = final
        self.path = part_of(final)
        self.bytes_written = 0
        self._descriptor = descriptor

    def write(self, chunk: bytes) -> None:
        """Append chunk; one of zeros becomes a hole."""
        if not _ZEROS.startswith(chunk):
            view = memoryview(chunk)
            while view:
                view = view[os.pwrite(self._descriptor, view, self.bytes_written + len(chunk) - len(view)) :]
        self.bytes_written += len(chunk)

    def settle(self) -> None:
        """Give the file its full length, for whoever reads it before it is published."""
        os.ftruncate(self._descriptor, self.bytes_written)

    def clone(self, source: BinaryIO) -> bool:
        """Share the blocks of a whole file; False where the file system cannot, or source is no file."""
        try:
            fcntl.ioctl(self._descriptor, _FICLONE, source.fileno())
        except OSError:
            return False
        self.bytes_written = os.fstat(self._descriptor).st_size
        return True

    def publish(self) -> None:
        """Put the file in its place, read-only and on the disk."""
        self.settle()
        os.fchmod(self._descriptor, 0o444)
        os.fsync(self._descriptor)
        self.path.rename(self.final)
        _sync_folder(self.final.parent)


@contextmanager
def unfinished(final: Path, *, wait: bool) -> Iterator[Part]:
    """Hold the empty unfinished form of final; what was not published by the end is removed.

    Where somebody else holds it: waits, or raises Busy. What a dead process left behind is taken over.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _locked(final, wait=wait)
    part = Part(final, descriptor)
    try:
        os.ftruncate(descriptor, 0)
        yield part
    finally:
        if _is_at(descriptor, part.path):
            part.path.unlink()
        os.close(descriptor)


def part_of(final: Path) -> Path:
    """Return where the unfinished form of final lies."""
    return final.with_name(f".{final.name}{_SUFFIX}")


def parts(folder: Path) -> tuple[Path, ...]:
    """Return the places whose unfinished form is in folder, being written or left by the dead."""
    names = (part.name.removeprefix(".").removesuffix(_SUFFIX) for part in folder.glob(f".*{_SUFFIX}"))
    return tuple(folder / name for name in sorted(names))


def named_by_uuid(folder: Path) -> tuple[Path, ...]:
    """Return the whole files in folder that are named by a uuid."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(path for path in folder.iterdir() if is_uuid(path.name)))


def is_uuid(name: str) -> bool:
    """Tell whether name is a uuid in its usual form."""
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def is_being_written(final: Path) -> bool:
    """Tell whether somebody who is alive holds the unfinished form of final, or just published it."""
    return _is_held(part_of(final)) or _is_held(final)


def sweep(folder: Path) -> int:
    """Remove the unfinished files that dead processes left in folder; returns how many."""
    swept = 0
    for final in parts(folder):
        try:
            with unfinished(final, wait=False):
                swept += 1
        except Busy:
            continue
    return swept


def remove(path: Path) -> bool:
    """Remove a file for good; False where there is none."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    _sync_folder(path.parent)
    return True


def _locked(final: Path, *, wait: bool) -> int:
    part = part_of(final)
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            mine = _is_at(descriptor, part)  # else its holder published or removed it meanwhile
            if mine and not wait and _is_held(final):
                part.unlink()
                raise BlockingIOError
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise Busy(final.name) from error
            raise
        if mine:
            return descriptor
        os.close(descriptor)


def _is_held(path: Path) -> bool:
    """Tell whether somebody who writes this file has not let go of it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
