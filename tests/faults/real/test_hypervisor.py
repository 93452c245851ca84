"""libvirtd killed under every call, and hanging; no room left for disks: real guests."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cloud import database
from tests.cloud.cloud import Cloud
from tests.cloud.servers import Server, boot, holdings
from tests.faults import record
from tests.faults.real import aim, ledger
from tests.faults.real.conftest import CALL_S
from tests.faults.real.forms import ENDS, Place, places

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

CALLS = [place for place in places() if place.gate.endswith((".enter", ".leave"))]
END_S = 90.0
_ERRORS = "SELECT error FROM workers_steprun WHERE operation_id = ? AND outcome = 'error'"


def errors(server: Server, kind: str) -> list[str]:
    """Return the errors of the operation's attempts."""
    return [row[0] for row in database.ask(server.cloud.state, _ERRORS, ledger.operation(server, kind).id)]


@pytest.mark.parametrize("place", CALLS, ids=str)
def test_libvirtd_killed_around_a_call_is_waited_for(real_cloud: Cloud, place: Place) -> None:
    server = place.form.begin(real_cloud)
    real_cloud.gates.close(place.gate)
    server = place.form.accept(real_cloud, server)
    aim.reach(real_cloud, place.gate)
    killed_at = time.time()
    killed = real_cloud.kill("libvirtd")
    real_cloud.gates.open(place.gate)
    real_cloud.await_back("libvirtd", killed)
    aim.await_end(server, place.form.ends, END_S)
    ledger.check_once(server, place.form.kind)
    again_at = ledger.succeeded_at(server, place.form.kind, place.step)
    recover_s = again_at - killed_at if again_at > killed_at else None
    aim.note(server, place, record.at("SIGKILL of libvirtd", place.gate), recover_s, fired=True)
    aim.remove(server)


def test_libvirtd_stopped_and_started_under_boots_is_waited_for(real_cloud: Cloud) -> None:
    servers = [boot(real_cloud) for _ in range(3)]
    real_cloud.stop("libvirtd")
    half_way = [ledger.operation(server, "create").state for server in servers]
    real_cloud.start("libvirtd")
    for server in servers:
        aim.await_end(server, "ACTIVE", END_S)
    row = record.Row("libvirt", "create", "all", "libvirtd restarted under 3 boots", "succeeded")
    record.note(row, fired="succeeded" not in half_way)
    for server in servers:
        aim.remove(server)


@contextmanager
def hanging(cloud: Cloud) -> Iterator[None]:
    """Have libvirtd hang for as long as the block runs."""
    pid = cloud.process("libvirtd").pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


HANGS = [place for place in CALLS if place.gate.endswith(".enter") and place.gate != "create_disks.enter"]


@pytest.mark.parametrize("place", HANGS, ids=str)
def test_a_call_to_a_libvirtd_that_hangs_is_unknown_and_ends_when_it_is_back(
    real_cloud: Cloud, place: Place
) -> None:
    server = place.form.begin(real_cloud)
    real_cloud.gates.close(place.gate)
    server = place.form.accept(real_cloud, server)
    aim.reach(real_cloud, place.gate)
    with hanging(real_cloud):
        real_cloud.gates.open(place.gate)
        time.sleep(CALL_S + 2)
        kept = ledger.operation(server, place.form.kind)
    back_at = time.time()
    assert kept.state == "running"
    recover_s = ledger.recovered(server, place.form.kind, back_at, END_S)
    aim.await_end(server, place.form.ends, END_S)
    ledger.check_once(server, place.form.kind)
    said = errors(server, place.form.kind)
    fault = record.at(f"libvirtd hangs for {CALL_S + 2:.0f} s", place.gate)
    aim.note(server, place, fault, recover_s, fired=any("outcome is unknown" in words for words in said))
    aim.remove(server)


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Have no room in a folder for as long as the block runs."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)], check=True)
    try:
        (folder / "filler").write_bytes(b"\0" * 4096)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_boot_without_room_for_its_disks_is_undone_in_words_and_the_next_works(real_cloud: Cloud) -> None:
    folder = real_cloud.state / "hosts" / real_cloud.host / "guests"
    with full_disk(folder):
        server = boot(real_cloud)
        server.await_status("ERROR", END_S)
        words = server.shown["fault"]["message"]
        left = [file.name for file in folder.iterdir()]
    assert "No space left" in words
    assert left == ["filler"]
    assert holdings(server) == {**ENDS[""], "charges": 1}
    aim.remove(server)
    row = record.Row("libvirt", "create", "disks", "disk full", "undone")
    record.note(row, fired=True)
    following = boot(real_cloud)
    aim.await_end(following, "ACTIVE", END_S)
    aim.remove(following)
