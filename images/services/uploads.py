"""Bytes in, bytes out: both by stream, and never within a transaction."""

import errno
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

import structlog
from django.db import connection
from django.utils import timezone

from computecloud.config import CONFIG
from computecloud.wire.errors import Conflict, Forbidden, InvalidInput, NotFound, TooLarge, Unavailable
from identity.caller import Caller
from images import files, selectors, store
from images.inspection import inspect
from images.models import Image
from images.states import WHOLE, Action, DiskFormat, Status
from images.transitions import WrongStatus, move

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Download:
    """An image's bytes, open at their beginning; whoever gets it closes the file."""

    file: BinaryIO
    size_bytes: int
    md5: str


def upload(image_id: UUID, body: store.Readable, *, announced_bytes: int | None, caller: Caller) -> None:
    """Store the body, up to its end, as the image's bytes and make it active.

    Raises NotFound, Forbidden, Conflict where the image has or is getting bytes, InvalidInput or TooLarge where
    the body is cut short, too large or not what the image's disk_format says, TooLarge too where the disk is full, as
    Glance answers a full store; then the image is queued again, without bytes.
    """
    image = selectors.get_for_change(image_id, caller)
    if image.disk_format is None or image.container_format is None:
        raise _unformatted()
    try:
        with store.receiving(image_id) as part:
            _begin(image_id)
            _fill(image_id, part, body, announced_bytes)
    except files.Busy as error:
        raise Conflict(f"Image {image_id} is being uploaded by another request.") from error
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise TooLarge("The image store is full; ask an administrator to make room.") from error
        raise


def download(image_id: UUID, *, caller: Caller) -> Download | None:
    """Return an image's bytes, None where it has none yet; raises NotFound, Forbidden if deactivated."""
    image = selectors.get(image_id, caller)
    if image.status == Status.DEACTIVATED and not caller.is_admin:
        raise Forbidden(f"Image {image_id} is deactivated; its owner may reactivate it.")
    if image.status not in WHOLE:
        return None
    _let_go_of_the_database()
    try:
        file = store.open_bytes(image_id)
    except FileNotFoundError as error:
        log.error("image.bytes_missing", image_id=str(image_id))
        raise Unavailable(
            f"The bytes of image {image_id} are missing; an administrator should run doctor."
        ) from error
    return Download(file, image.size_bytes or 0, image.checksum_md5 or "")


def release_dead_upload(image_id: UUID) -> bool:
    """Make an image queued again whose upload died with its process; False where it lives or is done."""
    try:
        with store.receiving(image_id):
            return _abandon(image_id)
    except files.Busy:
        return False


def _begin(image_id: UUID) -> None:
    """Take the status saving; one that is saving while we hold its lock was left so by a dead upload."""
    now = timezone.now()
    if Image.objects.filter(id=image_id, status=Status.SAVING).exists():
        move(Action.ABANDON_UPLOAD, image_id, now=now)
    move(Action.BEGIN_UPLOAD, image_id, now=now)


def _fill(image_id: UUID, part: files.Part, body: store.Readable, announced_bytes: int | None) -> None:
    done = False
    try:
        disk_format = _format_of(image_id)
        _let_go_of_the_database()
        received = store.receive(
            part, body, announced_bytes=announced_bytes, max_bytes=CONFIG.image_max_gib << 30
        )
        virtual = inspect(part.path, disk_format)
        part.publish()
        move(Action.FINISH_UPLOAD, image_id, now=timezone.now(), **_facts(received, virtual))
        done = True
    finally:
        if not done:
            _abandon(image_id)
    log.info("image.uploaded", image_id=str(image_id), size_bytes=received.size_bytes)


def _format_of(image_id: UUID) -> DiskFormat:
    """Return what the image was declared to be when its upload began; nobody changes that until it ends."""
    disk_format = Image.objects.values_list("disk_format", flat=True).get(id=image_id)
    if disk_format is None:
        raise _unformatted()
    return DiskFormat(disk_format)


def _unformatted() -> InvalidInput:
    return InvalidInput("Set the image's disk_format and container_format before uploading.")


def _facts(received: store.Received, virtual_size_bytes: int) -> dict[str, object]:
    return {
        "size_bytes": received.size_bytes,
        "virtual_size_bytes": virtual_size_bytes,
        "checksum_md5": received.md5,
        "checksum_sha512": received.sha512,
    }


def _abandon(image_id: UUID) -> bool:
    """Take an image whose lock we hold back to queued, without bytes; False where it is whole."""
    with suppress(WrongStatus, NotFound):
        move(Action.ABANDON_UPLOAD, image_id, now=timezone.now())
    if Image.objects.filter(id=image_id, status__in=WHOLE).exists():  # our last commit took effect, untold
        return False
    store.remove(image_id)
    log.warning("image.upload_abandoned", image_id=str(image_id))
    return True


def _let_go_of_the_database() -> None:
    """Give the connection back for the minutes that a stream may last."""
    if not connection.in_atomic_block:
        connection.close()
