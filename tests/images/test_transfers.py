"""A transfer into a host's cache: a process of its own, shared, watched, ended where it hangs, found by the next."""

import hashlib
import io
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from computecloud.cli.processes import alive
from computecloud.wire.errors import Conflict, NotFound, Unavailable
from identity.caller import Caller
from images import cache, fetching, files, invariants, services, store, transfers
from images.models import Image
from images.services import Attributes
from images.states import DiskFormat
from tests.images.conftest import MIB

pytestmark = pytest.mark.django_db

CONTENT = os.urandom(4 * MIB)
END_S = 20.0


def until(ready, seconds: float = END_S):
    deadline = time.monotonic() + seconds
    while not (answer := ready()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


@pytest.fixture
def image_id(state: Path, alice: Caller) -> UUID:
    """Return an image in the store."""
    image = services.create(Attributes(disk_format=DiskFormat.RAW, container_format="bare"), caller=alice)
    services.upload(image.id, io.BytesIO(CONTENT), announced_bytes=None, caller=alice)
    return image.id


@pytest.fixture(autouse=True)
def nobody_is_left(state: Path) -> Iterator[None]:
    """Leave no transfer behind, nor who waits for one."""
    yield
    for child in list(transfers._watch._children.values()):
        child.kill()
        child.wait()
    transfers._watch._children.clear()
    until(lambda: not transfers._watch._waiting)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have transfers take some seconds."""
    _pace(monkeypatch, 2.0)


def _pace(monkeypatch: pytest.MonkeyPatch, mib_s: float) -> None:
    monkeypatch.setattr(transfers, "CONFIG", _Settings(transfers.CONFIG, mib_s))


class _Settings:
    def __init__(self, real, mib_s: float) -> None:
        self.state, self.host, self.image_transfer_mib_s = real.state, "h1", mib_s


@pytest.fixture(autouse=True)
def on_h1(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be the worker of a host."""
    _pace(monkeypatch, 0.0)


def here() -> cache.Cache:
    return cache.of_host("h1")


def ended(image_id: UUID) -> bool:
    return not transfers._watch.runs(here().path(image_id))


def left() -> list[str]:
    return sorted(entry.name for entry in here().folder.iterdir())


def note(image_id: UUID) -> fetching.Note:
    return until(lambda: fetching.read_note(here().path(image_id)))


def test_an_image_comes_and_who_waits_is_told(image_id: UUID) -> None:
    told = threading.Event()
    assert "on its way" in transfers.fetch(image_id, told.set)
    assert told.wait(END_S)
    assert transfers.fetch(image_id, told.set) == ""
    assert hashlib.sha512(here().path(image_id).read_bytes()).digest() == hashlib.sha512(CONTENT).digest()
    assert left() == [str(image_id)]


def test_all_who_need_an_image_share_its_transfer_and_see_how_far_it_is(image_id: UUID, slow: None) -> None:
    told = threading.Semaphore(0)
    transfers.fetch(image_id, told.release)
    first = note(image_id).pid
    words = until(lambda: _with_progress(transfers.fetch(image_id, told.release)))
    assert "of 4 MiB" in words
    assert note(image_id).pid == first
    assert told.acquire(timeout=END_S) and told.acquire(timeout=END_S)
    assert transfers.fetch(image_id, told.release) == ""


def _with_progress(words: str) -> str:
    return words if " 1 of" in words or " 2 of" in words else ""


def test_a_worker_that_was_killed_and_began_anew_finds_the_transfer(image_id: UUID, slow: None) -> None:
    transfers.fetch(image_id, lambda: None)
    pid = note(image_id).pid
    assert os.getsid(pid) == pid, "it ends with its worker"
    child = transfers._watch._children.pop(here().path(image_id))  # what the killed worker's memory held
    until(lambda: files.is_being_written(here().path(image_id)))
    told = threading.Event()
    assert "on its way" in transfers.fetch(image_id, told.set)
    assert note(image_id).pid == pid
    assert transfers._watch._children == {}
    child.wait(END_S)
    assert told.wait(END_S)
    assert transfers.fetch(image_id, told.set) == ""


def test_a_transfer_that_stands_still_is_ended_and_may_be_tried_again(
    image_id: UUID, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "STILL_S", 1.0)
    transfers.fetch(image_id, lambda: None)
    pid = note(image_id).pid
    until(lambda: files.is_being_written(here().path(image_id)))
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)
    with pytest.raises(Unavailable, match="came no further"):
        transfers.fetch(image_id, lambda: None)
    until(lambda: not alive(pid))
    monkeypatch.undo()
    until(lambda: ended(image_id))


def test_a_transfer_that_is_too_slow_on_the_whole_is_ended(
    image_id: UUID, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "by_size_s", lambda _: 0.5 - transfers.STILL_S)
    transfers.fetch(image_id, lambda: None)
    note(image_id)
    time.sleep(0.6)
    with pytest.raises(Unavailable, match="was ended"):
        transfers.fetch(image_id, lambda: None)


@pytest.mark.parametrize("what", ["damaged", "gone from the store"])
def test_a_transfer_that_fails_says_why_once_and_leaves_nothing(image_id: UUID, what: str) -> None:
    if what == "damaged":
        Image.objects.filter(id=image_id).update(checksum_sha512="0" * 128)
    else:
        store.remove(image_id)
    told = threading.Event()
    transfers.fetch(image_id, told.set)
    assert told.wait(END_S)
    with pytest.raises(Unavailable, match=r"did not arrive whole|has no bytes"):
        transfers.fetch(image_id, told.set)
    assert left() == []
    assert "on its way" in transfers.fetch(image_id, told.set), "it is not tried again"
    until(lambda: ended(image_id))


def test_a_transfer_that_has_no_room_even_for_a_note_is_told_once(
    image_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", f"raise SystemExit({fetching.FAILED})"]
    monkeypatch.setattr(transfers, "_start", lambda *_: subprocess.Popen(command))
    told = threading.Event()
    transfers.fetch(image_id, told.set)
    assert told.wait(END_S)
    with pytest.raises(Unavailable, match="no room even to note why"):
        transfers.fetch(image_id, told.set)
    assert "on its way" in transfers.fetch(image_id, told.set), "it is not tried again"
    until(lambda: ended(image_id))


def test_a_note_that_finds_no_room_leaves_no_half(state: Path) -> None:
    final = here().path(UUID(int=9))
    here().folder.mkdir(parents=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            fetching.Note(1, 10, 0.0, 0.0).write(final)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert left() == []


def test_an_image_that_cannot_be_used_is_refused(image_id: UUID, alice: Caller) -> None:
    other = services.create(Attributes(disk_format=DiskFormat.RAW, container_format="bare"), caller=alice)
    with pytest.raises(Conflict):
        transfers.fetch(other.id, lambda: None)
    services.delete(image_id, caller=alice)
    with pytest.raises(NotFound):
        transfers.fetch(image_id, lambda: None)


def test_what_a_killed_transfer_leaves_is_found_by_doctor_and_mended(image_id: UUID, slow: None) -> None:
    transfers.fetch(image_id, lambda: None)
    pid = note(image_id).pid
    until(lambda: files.is_being_written(here().path(image_id)))
    assert list(invariants.unfinished_in_cache()) == []
    os.kill(pid, signal.SIGKILL)
    until(lambda: ended(image_id))
    assert left() == [f".{image_id}.part", f".{image_id}.progress"]
    [violation] = invariants.unfinished_in_cache()
    assert str(image_id) in violation.what and violation.fix is not None
    violation.fix()
    assert left() == []


def test_the_next_transfer_of_anything_sweeps_what_a_killed_one_left(image_id: UUID) -> None:
    dead = here().path(UUID(int=9))
    here().folder.mkdir(parents=True)
    files.part_of(dead).write_bytes(b"half")
    fetching.Note(1, 10, 0.0, 0.0).write(dead)
    transfers.fetch(image_id, lambda: None)
    until(lambda: ended(image_id))
    assert left() == [str(image_id)]
