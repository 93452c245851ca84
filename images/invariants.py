"""What must be true between image records, their bytes and the hosts' caches, and the mending of what is not."""

from collections.abc import Callable, Iterable, Iterator
from uuid import UUID

import structlog

from images import cache, files, services, store
from images.models import Image
from images.states import WHOLE, Status
from workers.invariants import Violation, register

log = structlog.get_logger()

MEND = "manage.py mend_images"
InUse = Callable[[str], Iterable[UUID]]
_in_use: list[InUse] = []


def used_by(in_use: InUse) -> None:
    """Have a room say which cached images a host's guests need; nothing is removed from caches before one does."""
    _in_use.append(in_use)


def bytes_without_image() -> Iterator[Violation]:
    """Yield what lies in the store though no record says that it is whole or being uploaded."""
    known = frozenset(Image.objects.filter(status__in={*WHOLE, Status.SAVING}).values_list("id", flat=True))
    for image_id in sorted(store.stored() - known):
        if not files.is_being_written(store.path(image_id)):
            yield Violation(f"The image store holds bytes of {image_id}, which is no stored image.", MEND)


def image_without_bytes() -> Iterator[Violation]:
    """Yield the images that are said to be whole though their bytes are not there, or not as many."""
    for image in Image.objects.filter(status__in=WHOLE).only("id", "size_bytes").iterator():
        path = store.path(image.id)
        size = path.stat().st_size if path.exists() else None
        if size != image.size_bytes:
            what = f"Image {image.id} has {size or 'no'} bytes in the store, not {image.size_bytes}."
            yield Violation(what, f"openstack image delete {image.id}, and upload it again")


def dead_upload() -> Iterator[Violation]:
    """Yield the images that are being uploaded by nobody who is alive."""
    for image_id in Image.objects.filter(status=Status.SAVING).values_list("id", flat=True):
        if not files.is_being_written(store.path(image_id)):
            yield Violation(f"The upload of image {image_id} died with its process.", MEND)


def cached_without_image() -> Iterator[Violation]:
    """Yield what lies in a host's cache though its image is deleted and no guest there needs it."""
    for host, image_id in _unneeded():
        yield Violation(f"Host {host} caches image {image_id}, which is deleted and not in use.", MEND)


def unfinished_in_cache() -> Iterator[Violation]:
    """Yield the half-fetched files that dead processes left in caches."""
    for host in cache.hosts():
        for final in files.parts(cache.of_host(host).folder):
            if not files.is_being_written(final):
                yield Violation(f"Host {host} holds a half-fetched image {final.name}.", MEND)


def mend() -> int:
    """Put right all that can be without losing anything; returns how many things were."""
    mended = 0
    saving = frozenset(Image.objects.filter(status=Status.SAVING).values_list("id", flat=True))
    whole = frozenset(Image.objects.filter(status__in=WHOLE).values_list("id", flat=True))
    for image_id in sorted(saving | (store.stored() - whole)):
        mended += services.release_dead_upload(image_id)
    for host in cache.hosts():
        mended += files.sweep(cache.of_host(host).folder)
    for host, image_id in _unneeded():
        mended += cache.of_host(host).remove(image_id)
    log.info("images.mended", count=mended)
    return mended


def _unneeded() -> Iterator[tuple[str, UUID]]:
    """Yield (host, image) for what is cached, deleted, and in use by no guest; nothing while nobody knows that."""
    if not _in_use:
        return
    live = frozenset(Image.objects.exclude(status=Status.DELETED).values_list("id", flat=True))
    for host in cache.hosts():
        needed = live.union(*(in_use(host) for in_use in _in_use))
        for entry in cache.of_host(host).cached():
            if entry.image_id not in needed:
                yield host, entry.image_id


register("every file in the image store belongs to an image", bytes_without_image)
register("every active image has its bytes", image_without_bytes)
register("every upload under way is alive", dead_upload)
register("every image in a host's cache is there or in use", cached_without_image)
register("every half-fetched image is being fetched", unfinished_in_cache)
