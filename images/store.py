"""The bytes of images: one file each under the state folder, or none."""

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID

from computecloud.config import CONFIG
from computecloud.wire.errors import InvalidInput, TooLarge
from images import files

CHUNK_BYTES = files.CHUNK_BYTES


class Readable(Protocol):
    """What an upload is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to size bytes; none at the end."""


class CutShort(InvalidInput):
    """Fewer or more bytes came than were announced."""


@dataclass(frozen=True, slots=True)
class Received:
    """What was written, with its hashes in hex."""

    size_bytes: int
    md5: str
    sha512: str


def folder() -> Path:
    """Return the folder of all images' bytes."""
    return CONFIG.state / "images"


def path(image_id: UUID) -> Path:
    """Return where an image's bytes are, or would be."""
    return folder() / str(image_id)


def receiving(image_id: UUID) -> AbstractContextManager[files.Part]:
    """Hold the right to write an image's bytes; raises files.Busy where a living upload holds it."""
    return files.unfinished(path(image_id), wait=False)


def receive(part: files.Part, body: Readable, *, announced_bytes: int | None, max_bytes: int) -> Received:
    """Write the body, up to its end, by stream; raises CutShort, TooLarge, or OSError for a full disk."""
    if announced_bytes is not None and announced_bytes > max_bytes:
        raise TooLarge(f"The image has {announced_bytes} bytes; at most {max_bytes} are accepted.")
    md5, sha512 = hashlib.md5(usedforsecurity=False), hashlib.sha512()
    for chunk in iter(lambda: body.read(CHUNK_BYTES), b""):
        md5.update(chunk)
        sha512.update(chunk)
        part.write(chunk)
        if part.bytes_written > max_bytes:
            raise TooLarge(f"The image has more than the {max_bytes} bytes that are accepted.")
    if announced_bytes is not None and part.bytes_written != announced_bytes:
        raise CutShort(f"{part.bytes_written} of the {announced_bytes} announced bytes came; upload again.")
    part.settle()
    return Received(part.bytes_written, md5.hexdigest(), sha512.hexdigest())


def open_bytes(image_id: UUID) -> BinaryIO:
    """Return an image's bytes to read; raises FileNotFoundError."""
    return path(image_id).open("rb", buffering=0)


def remove(image_id: UUID) -> bool:
    """Remove an image's bytes; False where there are none."""
    return files.remove(path(image_id))


def stored() -> frozenset[UUID]:
    """Return the images whose bytes are here, whole or in part."""
    here = (*files.named_by_uuid(folder()), *files.parts(folder()))
    return frozenset(UUID(file.name) for file in here if files.is_uuid(file.name))
