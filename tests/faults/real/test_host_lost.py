"""A whole host at once, with real guests: its worker, its libvirtd and every guest's process end with SIGKILL."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import WHOLE, boot, holdings
from tests.faults import record
from tests.faults.real import aim, ledger
from tests.faults.real.forms import FORMS, Place

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

TRUTH_S = 70.0  # the power audit is due every 30 s, and comes with the ring and the echo after that
BACK_S = 90.0
FAULT = "SIGKILL of worker, libvirtd and guests at once"
PLACES = [
    Place(form, step.name, f"{form.kind}.{step.name}.{point}")
    for form in FORMS
    for step in form.steps
    if step.on == "host"
    for point in ("taken", "done")
]


def guests() -> list[int]:
    """Return the processes of all guests on this machine."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if Path(words[0].decode()).name == "qemu-system-x86_64" and b"-name" in words:
                found.append(int(folder.name))
    return found


def lose_host(cloud: Cloud) -> tuple[int, int]:
    """End all that a host runs at once; returns its worker's process, and how many guests it had."""
    worker, daemon, running = cloud.process(cloud.worker).pid, cloud.process("libvirtd").pid, guests()
    for pid in (worker, daemon, *running):
        os.kill(pid, signal.SIGKILL)
    until(lambda: set(guests()).isdisjoint(running), 10, "the guests' end")
    return worker, len(running)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_lost_host_takes_up_its_operations_when_it_is_back(real_cloud: Cloud, place: Place) -> None:
    server = place.form.begin(real_cloud)
    real_cloud.gates.close(place.gate)
    server = place.form.accept(real_cloud, server)
    assert aim.reach(real_cloud, place.gate) == real_cloud.process(real_cloud.worker).pid
    lost_at = time.time()
    worker, _ = lose_host(real_cloud)
    real_cloud.gates.open(place.gate)
    recover_s = ledger.recovered(server, place.form.kind, lost_at)
    real_cloud.await_back(real_cloud.worker, worker)
    ends = place.form.guest_lost.get(place.gate.rpartition(".")[2], place.form.ends)
    aim.await_end(server, ends, BACK_S)
    if ends == place.form.ends:
        ledger.check_once(server, place.form.kind)
    aim.note(server, place, record.at(FAULT, place.gate), recover_s, fired=True)
    aim.remove(server)


def test_servers_of_a_lost_host_show_the_truth_and_can_be_used_and_deleted(real_cloud: Cloud) -> None:
    servers = [boot(real_cloud) for _ in range(2)]
    for server in servers:
        server.await_status("ACTIVE")
    lost_at = time.monotonic()
    worker, running = lose_host(real_cloud)
    assert running >= len(servers)
    for server in servers:
        server.await_status("SHUTOFF", TRUTH_S)
    took_s = time.monotonic() - lost_at
    real_cloud.await_back(real_cloud.worker, worker)
    servers[0].act("os-start")
    servers[0].await_status("ACTIVE", BACK_S)
    assert holdings(servers[0]) == WHOLE
    for server in servers:
        aim.remove(server)
    assert took_s < TRUTH_S
    record.note(
        record.Row("libvirt", "no operation", "none", FAULT, f"SHUTOFF shown after {took_s:.0f} s"),
        fired=True,
    )
