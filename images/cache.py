"""A host's own copies of images: read-only files that guests' disks are overlays of.

A file that is in the cache is whole and was verified; while it is fetched it lies beside its place as
`.<id>.part`, locked by whoever fetches it. The lock dies with its process, and the next one begins anew.
"""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID

import structlog

from computecloud.config import CONFIG
from computecloud.wire.errors import Conflict, Unavailable
from images import files, selectors, store
from images.models import Image
from images.states import Status

log = structlog.get_logger()

Progress = Callable[[int, int], None]  # bytes done, bytes in all


class Damaged(Unavailable):
    """What was fetched has not the checksum in the image's record."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a source promises of an image."""

    size_bytes: int
    sha512: str


class Source(Protocol):
    """Where a host gets images from."""

    def expected(self, image_id: UUID) -> Expected:
        """Return what will come; raises NotFound, Conflict where the image cannot be used now."""

    def open(self, image_id: UUID) -> BinaryIO:
        """Return the bytes to read once, in order; raises Unavailable."""


class StoreSource:
    """The image store itself, where it is on a file system that this host sees."""

    def expected(self, image_id: UUID) -> Expected:
        """Return what the image's record says."""
        image = Image.objects.exclude(status=Status.DELETED).filter(id=image_id).first()
        if image is None:
            raise selectors.missing(image_id)
        if image.status != Status.ACTIVE:
            raise Conflict(f"Image {image_id} is {image.status}; only an active image can be fetched.")
        return Expected(image.size_bytes or 0, image.checksum_sha512 or "")

    def open(self, image_id: UUID) -> BinaryIO:
        """Return the store's own file."""
        try:
            return store.open_bytes(image_id)
        except FileNotFoundError as error:
            raise Unavailable(f"The image store has no bytes of image {image_id}; run doctor.") from error


@dataclass(frozen=True, slots=True)
class Cached:
    """One image in the cache; used_at is seconds since 1970."""

    image_id: UUID
    size_bytes: int
    used_at: float


@dataclass(frozen=True, slots=True)
class Cache:
    """The images in one folder, fetched from one source."""

    folder: Path
    source: Source

    def path(self, image_id: UUID) -> Path:
        """Return where the image is, or would be."""
        return self.folder / str(image_id)

    def fetch(self, image_id: UUID, progress: Progress | None = None) -> Path:
        """Return the image's file, fetched first where it is not here; waits where somebody else fetches it.

        Raises NotFound, Conflict where the image is not active, Unavailable where the source fails, the disk
        is full or the checksum is wrong; then nothing is left, and the call may be made again.
        """
        path = self.path(image_id)
        if not self._use(path):
            files.sweep(self.folder)
            with files.unfinished(path, wait=True) as part:
                if not self._use(path):
                    self._fill(part, image_id, progress or _tell_nobody)
        return path

    def cached(self) -> tuple[Cached, ...]:
        """Return what is in the cache, least recently used first."""
        found = (_cached(path) for path in files.named_by_uuid(self.folder))
        return tuple(sorted((entry for entry in found if entry), key=lambda entry: entry.used_at))

    def remove(self, image_id: UUID) -> bool:
        """Remove the image, after waiting for whoever fetches it; False where it is not here.

        The caller knows that no guest's disk on this host is an overlay of it.
        """
        with files.unfinished(self.path(image_id), wait=True):
            removed = files.remove(self.path(image_id))
        if removed:
            log.info("image.cache_removed", image_id=str(image_id))
        return removed

    def _use(self, path: Path) -> bool:
        """Note that the file is used; False where it is not here."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        except PermissionError:  # libvirt gave it to the user that guests run as
            pass
        return True

    def _fill(self, part: files.Part, image_id: UUID, progress: Progress) -> None:
        expected = self.source.expected(image_id)
        began = time.monotonic()
        try:
            with self.source.open(image_id) as file:
                digest = _copy(file, part, expected.size_bytes, progress)
            if part.bytes_written != expected.size_bytes or digest != expected.sha512:
                raise Damaged(f"Image {image_id} did not arrive whole: its checksum differs.")
            part.publish()
        except OSError as error:
            raise Unavailable(f"Image {image_id} could not be fetched: {error.strerror or error}.") from error
        log.info(
            "image.fetched",
            image_id=str(image_id),
            size_bytes=expected.size_bytes,
            seconds=round(time.monotonic() - began, 3),
        )


def fetch(image_id: UUID, progress: Progress | None = None) -> Path:
    """Return the image's file in this host's cache, fetched first where need be; see Cache.fetch."""
    return of_host(CONFIG.host).fetch(image_id, progress)


def path(image_id: UUID) -> Path:
    """Return where the image is in this host's cache, or would be."""
    return of_host(CONFIG.host).path(image_id)


def cached() -> tuple[Cached, ...]:
    """Return what is in this host's cache, least recently used first."""
    return of_host(CONFIG.host).cached()


def remove(image_id: UUID) -> bool:
    """Remove the image from this host's cache; see Cache.remove."""
    return of_host(CONFIG.host).remove(image_id)


def of_host(host: str) -> Cache:
    """Return the cache of the host of that name on this machine."""
    return Cache(CONFIG.state / "hosts" / host / "cache", StoreSource())


def hosts() -> tuple[str, ...]:
    """Return the hosts that have a cache on this machine."""
    return tuple(folder.parent.name for folder in (CONFIG.state / "hosts").glob("*/cache"))


def _copy(file: BinaryIO, part: files.Part, total: int, progress: Progress) -> str:
    """Write file into part, sharing blocks where the file system can; returns the sha512 of what was read."""
    cloned = part.clone(file)
    digest = hashlib.sha512()
    done = 0
    progress(done, total)
    while chunk := file.read(files.CHUNK_BYTES):
        digest.update(chunk)
        if not cloned:
            part.write(chunk)
        done += len(chunk)
        progress(done, total)
    return digest.hexdigest()


def _cached(path: Path) -> Cached | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return Cached(UUID(path.name), facts.st_size, facts.st_mtime)


def _tell_nobody(_done: int, _total: int) -> None:
    return
