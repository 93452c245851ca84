"""A host's own copies of images: read-only files that guests' disks are overlays of; images.fetching makes them."""

from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from computecloud.config import CONFIG
from computecloud.wire.errors import Conflict, Unavailable
from images import selectors, store
from images.fetching import Cache, Cached, Damaged, Expected, Source
from images.models import Image
from images.states import Status

__all__ = ["Cache", "Cached", "Damaged", "Expected", "Source", "StoreSource"]


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
