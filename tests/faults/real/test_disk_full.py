"""No room left: in a host's image cache, in the image store, and under SQLite. Small tmpfs are the disks."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest

from computecloud.cli.client import Refused
from tests.cloud.cloud import Cloud
from tests.cloud.servers import Server, boot
from tests.faults import record
from tests.faults.real import aim, ledger
from tests.faults.real.conftest import fake, watched

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

IMAGE_BYTES = 4 << 20
SMALL = "1m"  # a disk that takes no whole image
STATE = "128m"  # one that takes a whole cloud
CHUNK_BYTES = 4096
END_S = 90.0
FULL_S = 6.0  # so long the disk stays full under a step
TRIES = 30
FILLER = "filler"


@contextmanager
def disk(folder: Path, size: str) -> Iterator[None]:
    """Have a small disk of its own in the folder for as long as the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Have no byte left on the folder's disk for as long as the block runs."""
    file = folder / FILLER
    try:
        with file.open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(CHUNK_BYTES)):
                pass
        yield
    finally:
        file.unlink()


@pytest.fixture(scope="module")
def image_cloud() -> Iterator[Cloud]:
    """Return a cloud with two fake hosts that fetch images."""
    made = fake("images")
    made.settings["FAKE_IMAGE_FILES"] = "true"
    yield from watched(made, "--hosts", "2")


@pytest.fixture(scope="module")
def small_cloud() -> Iterator[Cloud]:
    """Return a cloud with two fake hosts whose whole state is on one small disk."""
    made = fake("small")
    folder = made.state.parent
    with disk(folder, STATE):
        made.state = folder / "disk" / made.state.name
        made.state.parent.mkdir()
        yield from watched(made, "--hosts", "2")
    folder.rmdir()


@pytest.fixture
def body(tmp_path: Path) -> Path:
    """Return an image's bytes."""
    file = tmp_path / "image.raw"
    file.write_bytes(os.urandom(IMAGE_BYTES))
    return file


def queued(cloud: Cloud) -> str:
    """Return an image without bytes."""
    wanted = {"name": "big", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    return str(cloud.admin.post("/image/v2/images", wanted)["id"])


def upload(cloud: Cloud, image_id: str, file: Path) -> None:
    """Give an image its bytes."""
    cloud.client().upload(f"/image/v2/images/{image_id}/file", file)


def names(folder: Path) -> list[str]:
    """Return what is in the folder."""
    return sorted(entry.name for entry in folder.iterdir() if entry.name != FILLER)


def forget(cloud: Cloud, image_id: str) -> None:
    """Delete an image, and the copies of it that hosts keep."""
    cloud.admin.delete(f"/image/v2/images/{image_id}")
    for copy in (cloud.state / "hosts").glob(f"*/cache/{image_id}"):
        copy.unlink()


def lacked_room(server: Server) -> bool:
    """Tell whether the boot's transfer met a full disk."""
    return any(
        step == "image" and ("No space left" in error or "no room" in error)
        for step, _, error in ledger.mishaps(server, "create")
    )


@pytest.mark.parametrize("full", [False, True], ids=["no room for the image", "no room for a byte"])
def test_a_full_image_cache_ends_a_boot_that_must_be_there_and_sends_others_elsewhere(
    image_cloud: Cloud, body: Path, full: bool
) -> None:
    cloud, image_id = image_cloud, queued(image_cloud)
    upload(cloud, image_id, body)
    folder = cloud.state / "hosts" / "fake-1" / "cache"
    with disk(folder, SMALL):
        with filled(folder) if full else nullcontext():
            bound = boot(cloud, imageRef=image_id, availability_zone="nova:fake-1")
            others = [boot(cloud, imageRef=image_id) for _ in range(4)]
            bound.await_status("ERROR", END_S)
            words = bound.shown["fault"]["message"]
            for server in others:
                server.await_status("ACTIVE", END_S)
            hosts = {server.shown["OS-EXT-SRV-ATTR:host"] for server in others}
            left = names(folder)
        assert hosts == {"fake-2"}
        assert left == []
        assert ("no room" if full else "No space left") in words
        assert lacked_room(bound)
        moved = [lacked_room(server) for server in others]
    later = boot(cloud, imageRef=image_id, availability_zone="nova:fake-1")
    aim.await_end(later, "ACTIVE", END_S)
    for server in (bound, later, *others):
        aim.remove(server)
    forget(cloud, image_id)
    fault = f"its host's image cache has {'no room for a byte' if full else 'no room for the image'}"
    row = record.Row(cloud.stack, "create", "image", fault, "succeeded elsewhere; undone where bound to it")
    record.note(row, fired=any(moved))


def test_a_full_image_store_refuses_an_upload_as_glance_does_and_keeps_nothing(
    image_cloud: Cloud, body: Path
) -> None:
    cloud, image_id = image_cloud, queued(image_cloud)
    folder = cloud.state / "images"
    for full in (False, True):
        with disk(folder, SMALL):
            with filled(folder) if full else nullcontext():
                with pytest.raises(Refused, match="The image store is full") as refusal:
                    upload(cloud, image_id, body)
                left = names(folder)
        assert refusal.value.status == 413
        assert left == []
        assert cloud.admin.get(f"/image/v2/images/{image_id}")["status"] == "queued"
    upload(cloud, image_id, body)
    assert cloud.admin.get(f"/image/v2/images/{image_id}")["status"] == "active"
    forget(cloud, image_id)
    row = record.Row(cloud.stack, "upload", "none", "image store full", "refused with 413, image queued")
    record.note(row, fired=True)


@contextmanager
def no_room_for_sqlite(cloud: Cloud) -> Iterator[None]:
    """Have SQLite's log need room that is not there."""
    connection = sqlite3.connect(cloud.state / "computecloud.sqlite3", timeout=30)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with filled(cloud.state):
        yield


def whole(cloud: Cloud) -> bool:
    """Tell whether SQLite's file is whole."""
    connection = sqlite3.connect(cloud.state / "computecloud.sqlite3", timeout=30)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def test_a_full_disk_under_sqlite_is_an_answer_in_words_and_all_goes_on_when_there_is_room(
    small_cloud: Cloud,
) -> None:
    cloud = small_cloud
    servers = [boot(cloud)]
    servers[0].await_status("ACTIVE", END_S)
    refusals: list[Refused] = []
    with no_room_for_sqlite(cloud):
        for _ in range(TRIES):
            try:
                servers.append(boot(cloud))
            except Refused as refusal:
                refusals.append(refusal)
        shown = servers[0].shown
    assert shown["status"] == "ACTIVE", "what is there can be read meanwhile"
    assert refusals
    assert {refusal.status for refusal in refusals} == {503}
    assert all("database" in str(refusal) for refusal in refusals)
    assert whole(cloud)
    servers.append(boot(cloud))
    listed = cloud.admin.get("/compute/v2.1/servers?all_tenants=1&limit=1000")["servers"]
    assert {server.id for server in servers} <= {one["id"] for one in listed}
    for server in servers:
        aim.await_end(server, "ACTIVE", END_S)
    for server in servers:
        aim.remove(server)
    row = record.Row(cloud.stack, "all", "none", "disk full under SQLite", "refused with 503")
    record.note(row, fired=len(refusals) > 0)


@pytest.mark.parametrize("step", ["place", "disks", "start"])
def test_a_step_whose_commit_finds_no_room_is_run_again_when_there_is_room(
    small_cloud: Cloud, step: str
) -> None:
    cloud, gate = small_cloud, f"create.{step}.done"
    cloud.gates.close(gate)
    server = boot(cloud)
    aim.reach(cloud, gate)
    with no_room_for_sqlite(cloud):
        held = ledger.operation(server, "create")
        cloud.gates.open(gate)
        time.sleep(FULL_S)
        stands = (step, "success") not in ledger.runs(server, "create")
    room_at = time.time()
    recover_s = ledger.recovered(server, "create", room_at, END_S)
    aim.await_end(server, "ACTIVE", END_S)
    ledger.check_once(server, "create")
    assert whole(cloud)
    fault = record.at(f"disk full under SQLite for {FULL_S:.0f} s", gate)
    row = record.Row(cloud.stack, "create", step, fault, "succeeded", recover_s)
    record.note(row, fired=stands and held.leased)
    aim.remove(server)
