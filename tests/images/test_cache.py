"""A host's cache: fetched once, verified, and whole or absent whatever dies."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

import pytest

from computecloud.wire.errors import Conflict, NotFound, Unavailable
from identity.caller import Caller
from images import cache, services, store
from images.cache import Cache, Damaged, Expected
from images.models import Image
from images.services import Attributes
from images.states import DiskFormat
from tests.images.conftest import MIB

CONTENT = b"boot sector" + bytes(3 * MIB) + os.urandom(MIB)


class Shelf:
    """A source whose images are in memory, which counts how often it is asked and can be held."""

    def __init__(self, content: bytes = CONTENT, *, sha512: str | None = None) -> None:
        self.content = content
        self.sha512 = sha512 or hashlib.sha512(content).hexdigest()
        self.opened = 0
        self.go = threading.Event()
        self.go.set()

    def expected(self, image_id: UUID) -> Expected:
        return Expected(len(self.content), self.sha512)

    def open(self, image_id: UUID) -> BinaryIO:
        self.opened += 1
        self.go.wait(10)
        return io.BytesIO(self.content)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_fetched_image_is_read_only_and_the_same(tmp_path: Path) -> None:
    image_id = uuid4()
    path = Cache(tmp_path, Shelf()).fetch(image_id)
    assert path == tmp_path / str(image_id)
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.stat().st_blocks * 512 < 2 * MIB
    assert names(tmp_path) == [str(image_id)]


def test_fetching_tells_its_progress(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    Cache(tmp_path, Shelf()).fetch(uuid4(), lambda done, total: told.append((done, total)))
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert told == sorted(told)


def test_many_threads_fetch_once(tmp_path: Path) -> None:
    shelf, image_id = Shelf(), uuid4()
    shelf.go.clear()
    here = Cache(tmp_path, shelf)
    with ThreadPoolExecutor(8) as pool:
        paths = [pool.submit(here.fetch, image_id) for _ in range(8)]
        time.sleep(0.1)
        shelf.go.set()
        assert {future.result() for future in paths} == {here.path(image_id)}
    assert shelf.opened == 1
    assert names(tmp_path) == [str(image_id)]


def test_two_images_are_fetched_side_by_side(tmp_path: Path) -> None:
    slow, fast = Shelf(), Shelf()
    slow.go.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(Cache(tmp_path, slow).fetch, uuid4())
        Cache(tmp_path, fast).fetch(uuid4())
        assert not first.done()
        slow.go.set()


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x", b"y" + CONTENT[1:]])
def test_what_arrives_damaged_is_refused_and_nothing_is_left(tmp_path: Path, content: bytes) -> None:
    shelf = Shelf(content, sha512=hashlib.sha512(CONTENT).hexdigest())
    with pytest.raises(Damaged):
        Cache(tmp_path, shelf).fetch(uuid4())
    assert names(tmp_path) == []


def test_a_source_that_fails_leaves_nothing_and_may_be_asked_again(tmp_path: Path) -> None:
    class Flaky(Shelf):
        def open(self, image_id: UUID) -> BinaryIO:
            if not self.opened:
                self.opened += 1
                raise ConnectionResetError("cut")
            return super().open(image_id)

    here, image_id = Cache(tmp_path, Flaky()), uuid4()
    with pytest.raises(Unavailable):
        here.fetch(image_id)
    assert names(tmp_path) == []
    assert here.fetch(image_id).read_bytes() == CONTENT


def test_the_cache_lists_what_was_used_longest_ago_first(tmp_path: Path) -> None:
    here = Cache(tmp_path, Shelf())
    old, new = uuid4(), uuid4()
    for image_id in (old, new):
        here.fetch(image_id)
    os.utime(here.path(old), (1_000, 1_000))
    os.utime(here.path(new), (2_000, 2_000))
    (tmp_path / "lost+found").mkdir()
    assert [(entry.image_id, entry.used_at) for entry in here.cached()] == [(old, 1_000), (new, 2_000)]
    here.fetch(old)
    assert [entry.image_id for entry in here.cached()] == [new, old]


def test_removing_is_convergent(tmp_path: Path) -> None:
    here, image_id = Cache(tmp_path, Shelf()), uuid4()
    here.fetch(image_id)
    assert [here.remove(image_id), here.remove(image_id)] == [True, False]
    assert names(tmp_path) == []
    assert here.fetch(image_id).exists()


def test_removing_waits_for_whoever_fetches(tmp_path: Path) -> None:
    shelf, image_id = Shelf(), uuid4()
    shelf.go.clear()
    here = Cache(tmp_path, shelf)
    with ThreadPoolExecutor(2) as pool:
        fetching = pool.submit(here.fetch, image_id)
        while not shelf.opened:
            time.sleep(0.005)
        removing = pool.submit(here.remove, image_id)
        time.sleep(0.05)
        assert not removing.done()
        shelf.go.set()
        fetching.result()
        assert removing.result() is True
    assert names(tmp_path) == []


_FETCHER = """
import hashlib, io, sys, time
from pathlib import Path
from uuid import UUID
import django
django.setup()
from images.cache import Cache, Expected
content = b"x" * (4 << 20)
class Slow:
    def expected(self, image_id):
        return Expected(len(content), hashlib.sha512(content).hexdigest())
    def open(self, image_id):
        return Body()
class Body(io.BytesIO):
    def __init__(self):
        super().__init__(content)
    def read(self, size):
        if self.tell() == len(content) // 2:
            print("half", flush=True)
            if sys.argv[3] == "hang":
                time.sleep(60)
        return super().read(size)
Cache(Path(sys.argv[1]), Slow()).fetch(UUID(sys.argv[2]))
print("done", flush=True)
"""


def _fetcher(folder: Path, image_id: UUID, how: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _FETCHER, str(folder), str(image_id), how], stdout=subprocess.PIPE, text=True
    )


def test_processes_wait_for_each_other_and_a_killed_one_is_replaced(tmp_path: Path) -> None:
    image_id, other = uuid4(), uuid4()
    killed = _fetcher(tmp_path, image_id, "hang")
    assert killed.stdout is not None and killed.stdout.readline() == "half\n"
    waiting = _fetcher(tmp_path, image_id, "go on")
    time.sleep(0.3)
    assert waiting.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert waiting.communicate(timeout=20)[0].endswith("done\n")
    assert (tmp_path / str(image_id)).read_bytes() == b"x" * (4 * MIB)
    assert names(tmp_path) == [str(image_id)]
    Cache(tmp_path, Shelf()).fetch(other)
    assert names(tmp_path) == sorted([str(image_id), str(other)])


def test_what_a_killed_process_left_is_swept_by_the_next_fetch_of_anything(tmp_path: Path) -> None:
    dead, other = uuid4(), uuid4()
    killed = _fetcher(tmp_path, dead, "hang")
    assert killed.stdout is not None and killed.stdout.readline() == "half\n"
    killed.kill()
    killed.wait()
    assert names(tmp_path) == [f".{dead}.part"]
    Cache(tmp_path, Shelf()).fetch(other)
    assert names(tmp_path) == [str(other)]


@pytest.mark.django_db
def test_a_host_fetches_from_the_image_store(state: Path, alice: Caller) -> None:
    raw = Attributes(disk_format=DiskFormat.RAW, container_format="bare")
    image = services.create(raw, caller=alice)
    with pytest.raises(Conflict, match="queued"):
        cache.of_host("h1").fetch(image.id)
    services.upload(image.id, io.BytesIO(CONTENT), announced_bytes=None, caller=alice)
    path = cache.of_host("h1").fetch(image.id)
    assert path == state / "hosts" / "h1" / "cache" / str(image.id) == cache.path(image.id)
    assert path.read_bytes() == CONTENT
    assert [entry.image_id for entry in cache.cached()] == [image.id]
    assert cache.hosts() == ("h1",)
    services.delete(image.id, caller=alice)
    assert cache.of_host("h1").fetch(image.id) == path
    assert cache.remove(image.id) is True
    with pytest.raises(NotFound):
        cache.of_host("h1").fetch(image.id)


@pytest.mark.django_db
def test_an_image_whose_bytes_are_gone_or_changed_is_not_fetched(state: Path, alice: Caller) -> None:
    raw = Attributes(disk_format=DiskFormat.RAW, container_format="bare")
    image = services.create(raw, caller=alice)
    services.upload(image.id, io.BytesIO(CONTENT), announced_bytes=None, caller=alice)
    Image.objects.filter(id=image.id).update(checksum_sha512="0" * 128)
    with pytest.raises(Damaged):
        cache.of_host("h1").fetch(image.id)
    store.remove(image.id)
    with pytest.raises(Unavailable):
        cache.of_host("h1").fetch(image.id)
    assert cache.cached() == ()
