"""The transfer of an image into this host's cache: a process of its own, which outlives the worker that began it.

Whoever needs the image looks here: it is there, or on its way, or its transfer failed. All who need it share one
transfer. What the file system says is the truth: the lock on the unfinished file says that somebody fetches it, the
note beside it how far that is. In memory is only who is to be told of its end; a worker that began anew looks.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import structlog
from django.db import DatabaseError, close_old_connections

from computecloud.config import CONFIG, ROOT
from computecloud.wire.errors import Unavailable
from images import cache, fetching, files, store

log = structlog.get_logger()

LOOK_S = 0.2
STILL_S = 60.0  # a transfer that comes no further for so long is ended
SLOWEST_MIB_S = 4.0  # one that is slower than this on the whole, too
Tell = Callable[[], None]


def by_size_s(size_bytes: int) -> float:
    """Return how long the transfer of an image of this size may take."""
    rate = min(SLOWEST_MIB_S, CONFIG.image_transfer_mib_s / 2 or SLOWEST_MIB_S)
    return size_bytes / (rate * (1 << 20))


def fetch(image_id: UUID, tell: Tell) -> str:
    """Have the image come into this host's cache; returns "" where it is there, else how far it is.

    tell is called when the transfer has ended, in a thread of ours, if this process lives to see it.
    Raises NotFound, Conflict where the image cannot be used, Unavailable where its transfer failed: ask again later.
    """
    here = cache.of_host(CONFIG.host)
    final = here.path(image_id)
    if here.use(final):
        return ""
    with _watch.guard:
        if not _watch.runs(final):
            if reason := _failure_of(final):
                raise Unavailable(reason)
            _watch.begin(final, _start(here, image_id))
        _end_if_stuck(final)
        _watch.add(final, tell)
        return _in_words(image_id, fetching.read_note(final))


def _failure_of(final: Path) -> str:
    """Return why the last transfer failed, once; "" where none did, or its process was killed."""
    note = fetching.read_note(final)
    fetching.note_path(final).unlink(missing_ok=True)
    failed = _watch.forget_failure(final)
    if note is not None and note.error:
        return note.error
    return (
        f"Image {final.name} could not be fetched: its host had no room even to note why." if failed else ""
    )


@dataclass
class _Watch:
    """Who is to be told when which transfer has ended; a thread looks for as long as there is one."""

    guard: threading.RLock = field(default_factory=threading.RLock)
    _children: dict[Path, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    _waiting: dict[Path, list[Tell]] = field(default_factory=dict)
    _failed: set[Path] = field(default_factory=set)

    def runs(self, final: Path) -> bool:
        """Tell whether somebody fetches this image, or is about to."""
        child = self._children.get(final)
        if child is not None and child.poll() is not None:
            if child.returncode == fetching.FAILED:
                self._failed.add(final)
            del self._children[final]
            child = None
        return child is not None or files.is_being_written(final)

    def forget_failure(self, final: Path) -> bool:
        """Tell, once, whether a child of this process gave up on this image."""
        failed = final in self._failed
        self._failed.discard(final)
        return failed

    def begin(self, final: Path, child: "subprocess.Popen[bytes]") -> None:
        """Keep a child of this process, to know when it ends."""
        self._children[final] = child

    def add(self, final: Path, tell: Tell) -> None:
        """Have tell called when the transfer has ended."""
        first = not self._waiting
        self._waiting.setdefault(final, []).append(tell)
        if first:
            threading.Thread(target=self._look, name="transfers", daemon=True).start()

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_S)
            with self.guard:
                ended = [final for final in self._waiting if not self.runs(final)]
                tells = [tell for final in ended for tell in self._waiting.pop(final)]
                last = not self._waiting
            for tell in tells:
                _tell(tell)
            if last:
                close_old_connections()
                return


_watch = _Watch()


def _tell(tell: Tell) -> None:
    """Tell somebody; where the database is away, the sweeper will."""
    try:
        tell()
    except DatabaseError as error:
        log.warning("image.transfer_untold", error=str(error))
        close_old_connections()


def _start(here: cache.Cache, image_id: UUID) -> "subprocess.Popen[bytes]":
    expected = here.source.expected(image_id)
    try:
        here.folder.mkdir(parents=True, exist_ok=True)
        fetching.sweep(here.folder)
    except OSError as error:
        raise Unavailable(f"Image {image_id} could not be fetched: {error.strerror or error}.") from error
    source = store.path(image_id)
    words = [here.folder, image_id, source, expected.size_bytes, expected.sha512, CONFIG.image_transfer_mib_s]
    command = [sys.executable, "-m", "images.fetching", *(str(word) for word in words)]
    log.info("image.transfer_begins", image_id=str(image_id), size_bytes=expected.size_bytes)
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end_if_stuck(final: Path) -> None:
    """Raise Unavailable where the transfer stands still or is far too slow; it is ended first."""
    note = fetching.read_note(final)
    if note is None or note.error:
        return
    now_s = time.monotonic()
    still_s, took_s = now_s - note.at_s, now_s - note.began_s
    if still_s < STILL_S and took_s < STILL_S + by_size_s(note.total_bytes):
        return
    _kill(note.pid, final)
    fetching.note_path(final).unlink(missing_ok=True)
    log.warning("image.transfer_ended", image_id=final.name, still_s=round(still_s), took_s=round(took_s))
    raise Unavailable(
        f"The transfer of image {final.name} took {took_s:.0f} s, came no further for {still_s:.0f} s, and was ended."
    )


def _kill(pid: int, final: Path) -> None:
    """Kill the process, if it is the one that fetches this image."""
    with suppress(OSError):
        if final.name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            os.kill(pid, 9)


def _in_words(image_id: UUID, note: fetching.Note | None) -> str:
    if note is None or not note.total_bytes:
        return f"image {image_id} is on its way to this host"
    done, total = note.done_bytes / (1 << 20), note.total_bytes / (1 << 20)
    return f"image {image_id} is on its way to this host: {done:.0f} of {total:.0f} MiB"
