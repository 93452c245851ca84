"""What must be true between image records, their bytes and the hosts' caches."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from uuid import UUID

from images import cache, fetching, files, services, store
from images.models import Image
from images.states import WHOLE, Status
from workers.invariants import Violation, register

NOTE_READ_S = 60.0
InUse = Callable[[str], Iterable[UUID]]
_in_use: list[InUse] = []


def used_by(in_use: InUse) -> None:
    """Have a room say which cached images a host's guests need; no cache is judged before one does."""
    _in_use.append(in_use)


def bytes_without_image() -> Iterator[Violation]:
    """Yield what lies in the store though no record says that it is whole or being uploaded."""
    known = frozenset(Image.objects.filter(status__in={*WHOLE, Status.SAVING}).values_list("id", flat=True))
    for image_id in sorted(store.stored() - known):
        if not files.is_being_written(store.path(image_id)):
            what = f"the image store holds bytes of {image_id}, which is no stored image"
            yield Violation(what, fix=partial(services.release_dead_upload, image_id))


def image_without_bytes() -> Iterator[Violation]:
    """Yield the images that are said to be whole though their bytes are not there, or not as many."""
    for image in Image.objects.filter(status__in=WHOLE).only("id", "size_bytes").iterator():
        path = store.path(image.id)
        size = path.stat().st_size if path.exists() else None
        if size != image.size_bytes:
            what = f"image {image.id} has {size or 'no'} bytes in the store, not {image.size_bytes}"
            yield Violation(what, f"openstack image delete {image.id}, and upload it again")


def dead_upload() -> Iterator[Violation]:
    """Yield the images that are being uploaded by nobody who is alive."""
    for image_id in Image.objects.filter(status=Status.SAVING).values_list("id", flat=True):
        if not files.is_being_written(store.path(image_id)):
            what = f"the upload of image {image_id} died with its process"
            yield Violation(what, fix=partial(services.release_dead_upload, image_id))


def cached_without_image() -> Iterator[Violation]:
    """Yield what lies in a host's cache though its image is deleted and no guest there needs it."""
    if not _in_use:
        return
    live = frozenset(Image.objects.exclude(status=Status.DELETED).values_list("id", flat=True))
    for host in cache.hosts():
        here = cache.of_host(host)
        needed = live.union(*(in_use(host) for in_use in _in_use))
        for entry in here.cached():
            if entry.image_id not in needed:
                what = f"host {host} caches image {entry.image_id}, which is deleted and not in use"
                yield Violation(what, fix=partial(here.remove, entry.image_id))


def unfinished_in_cache() -> Iterator[Violation]:
    """Yield the half-fetched files that dead processes left in caches, and notes about them that nobody read."""
    for host in cache.hosts():
        folder = cache.of_host(host).folder
        for final in {*files.parts(folder), *_old_notes(folder)}:
            if not files.is_being_written(final):
                what = f"host {host} holds a half-fetched image {final.name}"
                yield Violation(what, fix=partial(fetching.sweep, folder))


def _old_notes(folder: Path) -> Iterator[Path]:
    """Yield what the notes are about that are older than any pause between two tries."""
    for final in fetching.noted(folder):
        note = fetching.read_note(final)
        if note is None or not 0 <= time.monotonic() - note.at_s < NOTE_READ_S:
            yield final


register("every file in the image store belongs to an image", bytes_without_image)
register("every active image has its bytes", image_without_bytes)
register("every upload under way is alive", dead_upload)
register("every image in a host's cache is there or in use", cached_without_image)
register("every half-fetched image is being fetched", unfinished_in_cache)
