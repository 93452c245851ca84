"""A slow transfer of an image, with real workers: it delays nobody, survives the worker, is shared, leaves nothing."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from computecloud.cli.processes import command_of
from tests.cloud import database, timings
from tests.cloud.cloud import Cloud, until
from tests.cloud.conftest import _folder, _free_port, _running
from tests.cloud.servers import NOTHING, WHOLE, Server, boot, holdings

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

MIB_S, SIZE_MIB = 2, 16
TRANSFER_S = SIZE_MIB / MIB_S
QUICK_S = 5.0  # an action on another guest, on a machine that does much else
END_S = 60.0


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """Return a cloud with one fake host, which fetches images, slowly."""
    made = Cloud(_folder("slow"), "fake", _free_port(), "fake-1")
    made.settings |= {"FAKE_IMAGE_FILES": "true", "IMAGE_TRANSFER_MIB_S": str(MIB_S)}
    for running in _running(made):
        yield running
        doctor = running.doctor()
        assert doctor.returncode == 0, doctor.stdout


@pytest.fixture
def big(cloud: Cloud, tmp_path: Path) -> str:
    """Return an image that no host has, and that takes its time."""
    record = {"name": "big", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    image_id = str(cloud.admin.post("/image/v2/images", record)["id"])
    file = tmp_path / "big.raw"
    file.write_bytes(os.urandom(SIZE_MIB << 20))
    cloud.client().upload(f"/image/v2/images/{image_id}/file", file)
    return image_id


def transfers(image_id: str) -> list[int]:
    """Return the processes that fetch this image."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            words = command_of(int(folder.name)).split(b"\0")
            if words[1:3] == [b"-m", b"images.fetching"] and image_id.encode() in words:
                found.append(int(folder.name))
    return found


def in_cache(cloud: Cloud) -> list[str]:
    """Return the names in the host's cache."""
    return sorted(entry.name for entry in (cloud.state / "hosts" / "fake-1" / "cache").iterdir())


def operation(cloud: Cloud, server: Server) -> dict[str, Any]:
    """Return what the ledger says of the server's only operation."""
    columns = ("waits_for", "slow", "cursor", "state")
    question = f"SELECT {', '.join(columns)} FROM workers_operation WHERE subject_id = ?"
    [row] = database.ask(cloud.state, question, server.id.replace("-", ""))
    return dict(zip(columns, row, strict=True))


def under_way(cloud: Cloud, image_id: str) -> Server:
    """Return a server whose image is on its way."""
    server = boot(cloud, imageRef=image_id)
    until(lambda: transfers(image_id), 20, "the transfer to begin")
    until(lambda: operation(cloud, server)["slow"], 5, "the step to wait for it")
    return server


def made(server: Server) -> None:
    """See that the server is made, once."""
    server.await_status("ACTIVE", END_S)
    assert holdings(server) == WHOLE


def gone(*servers: Server) -> None:
    """Delete servers and see that nothing of them is left."""
    for server in servers:
        server.delete()
    for server in servers:
        server.await_gone()
        assert holdings(server) == NOTHING


def test_a_slow_transfer_delays_no_action_on_another_guest_of_the_host(cloud: Cloud, big: str) -> None:
    other = boot(cloud)
    made(other)
    waiting = [under_way(cloud, big) for _ in range(1)] + [boot(cloud, imageRef=big) for _ in range(7)]
    began = time.monotonic()
    for action, arguments, status in (
        ("reboot", {"type": "HARD"}, "ACTIVE"),
        ("os-stop", None, "SHUTOFF"),
        ("os-start", None, "ACTIVE"),
    ):
        asked = time.monotonic()
        other.act(action, arguments)
        other.await_status(status, QUICK_S)
        timings.note(f"slow transfer: {action} of another guest meanwhile", time.monotonic() - asked)
    quick = boot(cloud)
    quick.await_status("ACTIVE", QUICK_S)
    assert transfers(big), "the transfer was over before"
    assert len(transfers(big)) == 1, "eight boots share it"
    assert {server.shown["status"] for server in waiting} == {"BUILD"}
    words = until(lambda: _with_progress(cloud, waiting[0]), TRANSFER_S, "progress to be shown")
    assert f"of {SIZE_MIB} MiB" in words
    for server in waiting:
        made(server)
    timings.note("slow transfer: eight boots that share it", time.monotonic() - began)
    assert [name for name in in_cache(cloud) if name.startswith(".")] == []
    gone(other, quick, *waiting)


def _with_progress(cloud: Cloud, server: Server) -> str:
    words = str(operation(cloud, server)["waits_for"])
    return words if "MiB" in words and ": 0 of" not in words else ""


def test_a_boot_whose_image_is_there_goes_through_no_slow_queue(cloud: Cloud, big: str) -> None:
    first = under_way(cloud, big)
    made(first)
    log = (cloud.state / "log" / "host-fake-1.log").read_text()
    second = boot(cloud, imageRef=big)
    second.await_status("ACTIVE")
    later = (cloud.state / "log" / "host-fake-1.log").read_text().removeprefix(log)
    assert "step.waits" not in later and "image.transfer" not in later
    gone(first, second)


def test_a_worker_killed_during_a_transfer_finds_it_when_it_is_back(cloud: Cloud, big: str) -> None:
    server = under_way(cloud, big)
    [pid] = transfers(big)
    killed = cloud.kill(cloud.worker)
    cloud.await_back(cloud.worker, killed)
    assert transfers(big) == [pid]
    until(lambda: operation(cloud, server)["waits_for"], TRANSFER_S, "the new worker to look")
    assert transfers(big) in ([pid], []), "a second one was begun"
    made(server)
    assert [name for name in in_cache(cloud) if name.startswith(".")] == []
    gone(server)


def test_a_killed_transfer_is_begun_anew(cloud: Cloud, big: str) -> None:
    server = under_way(cloud, big)
    [pid] = transfers(big)
    os.kill(pid, signal.SIGKILL)
    until(lambda: [one for one in transfers(big) if one != pid], 20, "another to begin")
    made(server)
    gone(server)


def test_a_server_deleted_during_its_transfer_leaves_nothing(cloud: Cloud, big: str) -> None:
    server = under_way(cloud, big)
    began = time.monotonic()
    gone(server)
    timings.note("slow transfer: delete meanwhile, to gone", time.monotonic() - began)
    assert transfers(big), "it goes on, for the next boot"
    until(lambda: not transfers(big), END_S, "its end")
    assert big in in_cache(cloud)
    assert [name for name in in_cache(cloud) if name.startswith(".")] == []


def test_down_ends_what_is_on_its_way(cloud: Cloud, big: str) -> None:
    server = under_way(cloud, big)
    assert cloud.run("down").returncode == 0
    assert transfers(big) == []
    cloud.up()
    made(server)
    gone(server)
