"""Uploads: whole and checked, or as if they had never been."""

import hashlib
import io
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.db import connection

from computecloud.wire.errors import Conflict, Forbidden, InvalidInput, NotFound, TooLarge
from identity.caller import Caller
from images import services, store
from images.models import Image
from images.services import Attributes
from images.states import DiskFormat, Status, Visibility
from tests.images.conftest import GIB, KIB, MIB, caller_of, qcow2_bytes

pytestmark = pytest.mark.django_db

RAW = Attributes(name="raw", disk_format=DiskFormat.RAW, container_format="bare")
QCOW2 = Attributes(name="qcow2", disk_format=DiskFormat.QCOW2, container_format="bare")


class Gate:
    """A body that stands still until it is opened."""

    def __init__(self, content: bytes) -> None:
        self.reached, self.open = threading.Event(), threading.Event()
        self._body = io.BytesIO(content)

    def read(self, size: int, /) -> bytes:
        self.reached.set()
        assert self.open.wait(10)
        return self._body.read(size)


class Broken:
    """A body whose connection is cut after some bytes."""

    def __init__(self, content: bytes) -> None:
        self._body = io.BytesIO(content)

    def read(self, size: int, /) -> bytes:
        if chunk := self._body.read(size):
            return chunk
        raise ConnectionResetError("cut")


def status_of(image_id: UUID) -> str:
    return Image.objects.values_list("status", flat=True).get(id=image_id)


def files_in(state: Path) -> list[str]:
    folder = state / "images"
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def test_an_uploaded_image_is_active_with_its_sizes_and_hashes(state: Path, alice: Caller) -> None:
    content = os.urandom(3 * MIB + 17)
    image = services.create(RAW, caller=alice)
    services.upload(image.id, io.BytesIO(content), announced_bytes=len(content), caller=alice)
    image.refresh_from_db()
    assert (image.status, image.size_bytes, image.virtual_size_bytes) == (
        Status.ACTIVE,
        len(content),
        len(content),
    )
    assert image.checksum_md5 == hashlib.md5(content).hexdigest()
    assert image.checksum_sha512 == hashlib.sha512(content).hexdigest()
    assert store.path(image.id).read_bytes() == content
    assert store.path(image.id).stat().st_mode & 0o777 == 0o444
    assert files_in(state) == [str(image.id)]


def test_a_downloaded_image_is_what_was_uploaded(state: Path, alice: Caller) -> None:
    content = qcow2_bytes()
    image = services.create(QCOW2, caller=alice)
    services.upload(image.id, io.BytesIO(content), announced_bytes=None, caller=alice)
    found = services.download(image.id, caller=alice)
    assert found is not None
    with found.file:
        assert found.file.read() == content
    assert (found.size_bytes, found.md5) == (len(content), hashlib.md5(content).hexdigest())


def test_zeros_are_stored_as_holes(state: Path, alice: Caller) -> None:
    content = b"boot" + bytes(64 * MIB) + b"end" + bytes(8 * MIB)
    image = services.create(RAW, caller=alice)
    services.upload(image.id, io.BytesIO(content), announced_bytes=None, caller=alice)
    assert store.path(image.id).stat().st_blocks * 512 < MIB
    assert hashlib.sha512(store.path(image.id).read_bytes()).digest() == hashlib.sha512(content).digest()


@pytest.mark.parametrize(
    ("attributes", "body", "announced", "refusal"),
    [
        (RAW, io.BytesIO(b"x" * 1000), 1001, InvalidInput),
        (RAW, io.BytesIO(b"x" * 1000), 999, InvalidInput),
        (RAW, io.BytesIO(b""), 0, InvalidInput),
        (RAW, io.BytesIO(b""), GIB + 1, TooLarge),
        (RAW, Broken(b"x" * MIB), None, ConnectionResetError),
        (QCOW2, io.BytesIO(b"not qcow2"), None, InvalidInput),
        (QCOW2, io.BytesIO(qcow2_bytes(backing=1024)), None, InvalidInput),
        (RAW, io.BytesIO(qcow2_bytes()), None, InvalidInput),
    ],
)
def test_a_bad_upload_leaves_the_image_queued_and_no_bytes(
    state: Path,
    alice: Caller,
    attributes: Attributes,
    body: io.BytesIO,
    announced: int,
    refusal: type[Exception],
) -> None:
    image = services.create(attributes, caller=alice)
    with pytest.raises(refusal):
        services.upload(image.id, body, announced_bytes=announced, caller=alice)
    assert status_of(image.id) == Status.QUEUED
    assert files_in(state) == []
    image.refresh_from_db()
    assert (image.size_bytes, image.checksum_md5) == (None, None)


def test_more_than_is_allowed_is_refused_though_nothing_was_announced(state: Path) -> None:
    class Endless:
        def read(self, size: int, /) -> bytes:
            return b"x" * size

    with store.receiving(uuid4()) as part, pytest.raises(TooLarge):
        store.receive(part, Endless(), announced_bytes=None, max_bytes=4 * MIB)
    assert part.bytes_written < 5 * MIB
    assert files_in(state) == []


def test_a_full_disk_is_said_and_leaves_nothing(state: Path, alice: Caller) -> None:
    image = services.create(RAW, caller=alice)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (48 * MIB, limits[1]))
    try:
        with pytest.raises(TooLarge, match="full"):
            services.upload(image.id, io.BytesIO(b"x" * 49 * MIB), announced_bytes=None, caller=alice)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (status_of(image.id), files_in(state)) == (Status.QUEUED, [])


def test_after_a_bad_upload_a_good_one_is_taken(state: Path, alice: Caller) -> None:
    image = services.create(RAW, caller=alice)
    with pytest.raises(InvalidInput):
        services.upload(image.id, io.BytesIO(b"x"), announced_bytes=2, caller=alice)
    services.upload(image.id, io.BytesIO(b"xy"), announced_bytes=2, caller=alice)
    assert status_of(image.id) == Status.ACTIVE


def test_an_active_image_takes_no_second_upload(state: Path, alice: Caller) -> None:
    image = services.create(RAW, caller=alice)
    services.upload(image.id, io.BytesIO(b"first"), announced_bytes=None, caller=alice)
    with pytest.raises(Conflict):
        services.upload(image.id, io.BytesIO(b"second"), announced_bytes=None, caller=alice)
    assert store.path(image.id).read_bytes() == b"first"
    assert status_of(image.id) == Status.ACTIVE


def test_an_image_without_formats_takes_no_upload(state: Path, alice: Caller) -> None:
    image = services.create(Attributes(name="bare"), caller=alice)
    with pytest.raises(InvalidInput, match="disk_format"):
        services.upload(image.id, io.BytesIO(b"x"), announced_bytes=None, caller=alice)


def test_nobody_uploads_into_anothers_image(state: Path, alice: Caller, bob: Caller, admin: Caller) -> None:
    private = services.create(RAW, caller=alice)
    public = services.create(
        Attributes(visibility=Visibility.PUBLIC, disk_format=DiskFormat.RAW, container_format="bare"),
        caller=admin,
    )
    with pytest.raises(NotFound):
        services.upload(private.id, io.BytesIO(b"x"), announced_bytes=None, caller=bob)
    with pytest.raises(Forbidden):
        services.upload(public.id, io.BytesIO(b"x"), announced_bytes=None, caller=bob)
    with pytest.raises(Forbidden):
        reader = caller_of(alice.project_id, "reader")
        services.upload(private.id, io.BytesIO(b"x"), announced_bytes=None, caller=reader)
    with pytest.raises(NotFound):
        services.upload(uuid4(), io.BytesIO(b"x"), announced_bytes=None, caller=alice)
    assert files_in(state) == []


@pytest.mark.django_db(transaction=True)
def test_of_two_uploads_at_once_one_wins_and_the_other_is_a_conflict(state: Path, alice: Caller) -> None:
    image = services.create(RAW, caller=alice)
    gate = Gate(b"first")
    thread = threading.Thread(target=_upload, args=(image.id, gate, alice))
    thread.start()
    assert gate.reached.wait(10)
    with pytest.raises(Conflict, match="another request"):
        services.upload(image.id, io.BytesIO(b"second"), announced_bytes=None, caller=alice)
    assert services.release_dead_upload(image.id) is False
    gate.open.set()
    thread.join()
    assert (status_of(image.id), store.path(image.id).read_bytes()) == (Status.ACTIVE, b"first")


@pytest.mark.django_db(transaction=True)
def test_an_image_deleted_during_its_upload_leaves_no_bytes(state: Path, alice: Caller) -> None:
    image = services.create(RAW, caller=alice)
    gate = Gate(b"late")
    failures: list[BaseException] = []
    thread = threading.Thread(target=_upload, args=(image.id, gate, alice, failures))
    thread.start()
    assert gate.reached.wait(10)
    services.delete(image.id, caller=alice)
    gate.open.set()
    thread.join()
    assert [type(failure) for failure in failures] == [NotFound]
    assert (status_of(image.id), files_in(state)) == (Status.DELETED, [])


def _upload(image_id: UUID, body: Gate, caller: Caller, failures: list[BaseException] | None = None) -> None:
    try:
        services.upload(image_id, body, announced_bytes=None, caller=caller)
    except (Conflict, NotFound) as error:
        if failures is not None:
            failures.append(error)
    finally:
        connection.close()


@pytest.fixture
def dead_upload(state: Path, alice: Caller) -> Iterator[UUID]:
    """An image whose uploader was killed half-way."""
    image = services.create(RAW, caller=alice)
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(store.path(image.id))], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    Image.objects.filter(id=image.id).update(status=Status.SAVING)
    assert services.release_dead_upload(image.id) is False
    holder.kill()
    holder.wait()
    assert files_in(state) == [f".{image.id}.part"]
    yield image.id


_HOLDER = """
import sys, time
from pathlib import Path
from images.files import unfinished
with unfinished(Path(sys.argv[1]), wait=False) as part:
    part.write(b"half")
    print("held", flush=True)
    time.sleep(60)
"""


def test_an_upload_that_died_with_its_process_is_released(state: Path, dead_upload: UUID) -> None:
    assert services.release_dead_upload(dead_upload) is True
    assert (status_of(dead_upload), files_in(state)) == (Status.QUEUED, [])


def test_a_new_upload_takes_over_from_one_that_died(state: Path, dead_upload: UUID, alice: Caller) -> None:
    services.upload(dead_upload, io.BytesIO(b"anew"), announced_bytes=None, caller=alice)
    assert (status_of(dead_upload), store.path(dead_upload).read_bytes()) == (Status.ACTIVE, b"anew")


def test_releasing_never_takes_the_bytes_of_an_active_image(state: Path, alice: Caller) -> None:
    image = services.create(RAW, caller=alice)
    services.upload(image.id, io.BytesIO(b"x"), announced_bytes=None, caller=alice)
    assert services.release_dead_upload(image.id) is False
    assert (status_of(image.id), store.path(image.id).read_bytes()) == (Status.ACTIVE, b"x")


def test_memory_stays_flat_while_300_mib_are_received_and_inspected(tmp_path: Path) -> None:
    out = subprocess.run(
        [sys.executable, "-c", _LARGE, str(tmp_path / "large")], capture_output=True, text=True, check=True
    )
    grown_kib, size = map(int, out.stdout.split())
    assert size == 300 * MIB
    assert grown_kib < 16 * KIB


_LARGE = """
import io, os, resource, sys
from pathlib import Path
from images import files, store
from images.inspection import inspect
from images.states import DiskFormat
class Body:
    left = 300 << 20
    block = os.urandom(256 << 10)
    def read(self, size):
        take = min(size, self.left, len(self.block))
        self.left -= take
        return self.block[:take]
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
with files.unfinished(Path(sys.argv[1]), wait=False) as part:
    store.receive(part, Body(), announced_bytes=300 << 20, max_bytes=1 << 30)
    size = inspect(part.path, DiskFormat.RAW)
print(peak() - before, size)
"""
