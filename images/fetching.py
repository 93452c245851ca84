"""Fetching an image into a folder: whole and verified, or not at all. It knows no Django: a process of its own does it.

A file that is in the folder is whole and was verified; while it is fetched it lies beside its place as `.<id>.part`,
locked by whoever fetches it. The lock dies with its process, and the next one begins anew. Beside it lies
`.<id>.progress`, a note of how far it is, or of why it failed.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID

from computecloud.wire.errors import CloudError, Unavailable
from images import files

NOTE_EVERY_S = 0.25
FAILED = 1  # the exit status of a fetch that failed by itself, whether it could note why or not
_NOTE = ".progress"

Progress = Callable[[int, int], None]  # bytes done, bytes in all


class Damaged(Unavailable):
    """What was fetched has not the checksum in the image's record."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a source promises of an image."""

    size_bytes: int
    sha512: str


@dataclass(frozen=True, slots=True)
class Note:
    """How far a fetch is, as whoever fetches writes it down; error says why it failed.

    Seconds are of the machine's monotonic clock, which all its processes share and nobody sets.
    """

    pid: int
    total_bytes: int
    began_s: float
    at_s: float
    done_bytes: int = 0
    error: str = ""

    def write(self, final: Path) -> None:
        """Write it beside the image's place, whole or not at all."""
        path = note_path(final)
        part = path.with_name(f"{path.name}-{self.pid}")
        try:
            part.write_text(json.dumps(asdict(self)))
            part.replace(path)
        except OSError:  # the disk is full: no half of a note stays on it
            part.unlink(missing_ok=True)
            raise


class Source(Protocol):
    """Where a host gets images from."""

    def expected(self, image_id: UUID) -> Expected:
        """Return what will come; raises NotFound, Conflict where the image cannot be used now."""

    def open(self, image_id: UUID) -> BinaryIO:
        """Return the bytes to read once, in order; raises Unavailable."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on a file system that this host sees."""

    file: Path
    promised: Expected

    def expected(self, _image_id: UUID) -> Expected:
        """Return what was promised."""
        return self.promised

    def open(self, image_id: UUID) -> BinaryIO:
        """Return the file."""
        try:
            return self.file.open("rb")
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
        if not self.use(path):
            files.sweep(self.folder)
            with files.unfinished(path, wait=True) as part:
                if not self.use(path):
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
            return files.remove(self.path(image_id))

    def use(self, path: Path) -> bool:
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
        try:
            with self.source.open(image_id) as file:
                digest = _copy(file, part, expected.size_bytes, progress)
            if part.bytes_written != expected.size_bytes or digest != expected.sha512:
                raise Damaged(f"Image {image_id} did not arrive whole: its checksum differs.")
            part.publish()
        except OSError as error:
            raise Unavailable(f"Image {image_id} could not be fetched: {error.strerror or error}.") from error


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


def note_path(final: Path) -> Path:
    """Return where the note about the fetch of final lies."""
    return final.with_name(f".{final.name}{_NOTE}")


def read_note(final: Path) -> Note | None:
    """Return the note; None where there is none."""
    try:
        return Note(**json.loads(note_path(final).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def noted(folder: Path) -> tuple[Path, ...]:
    """Return the places that folder has notes about."""
    names = (note.name.removeprefix(".").removesuffix(_NOTE) for note in folder.glob(f".*{_NOTE}"))
    return tuple(folder / name for name in sorted(names))


def sweep(folder: Path) -> None:
    """Remove what dead processes left in folder: unfinished files, and notes about what nobody fetches."""
    files.sweep(folder)
    for final in noted(folder):
        if not files.is_being_written(final):
            note_path(final).unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """Fetch one image: FOLDER ID FILE BYTES SHA512 MIB_S; the last is the most a second, 0 for as fast as it goes."""
    folder, name, file, size, sha512, rate = arguments
    os.nice(5)  # guests come first
    final, began_s = Path(folder) / name, time.monotonic()
    note = Note(os.getpid(), int(size), began_s, began_s)
    source = FileSource(Path(file), Expected(int(size), sha512))
    try:
        note.write(final)
        pace = _Pace(final, note, float(rate) * (1 << 20))
        Cache(Path(folder), source).fetch(UUID(name), pace)
    except (CloudError, OSError) as error:
        with suppress(OSError):
            replace(note, error=str(error)).write(final)
        return FAILED
    note_path(final).unlink(missing_ok=True)
    return 0


@dataclass(slots=True)
class _Pace:
    """Notes the progress of a fetch, and holds it back to a rate."""

    final: Path
    note: Note
    bytes_per_s: float

    def __call__(self, done: int, _total: int) -> None:
        if self.bytes_per_s:
            time.sleep(max(0.0, self.note.began_s + done / self.bytes_per_s - time.monotonic()))
        now_s = time.monotonic()
        if now_s - self.note.at_s >= NOTE_EVERY_S:
            self.note = replace(self.note, done_bytes=done, at_s=now_s)
            self.note.write(self.final)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
