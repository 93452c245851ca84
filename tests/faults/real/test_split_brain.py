"""A host that stops in the middle of a step, is given up on, and goes on later: it acts on no older epoch."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cloud import database
from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import NOTHING, WHOLE, boot, holdings
from tests.faults import record
from tests.faults.real import aim, ledger

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

GIVEN_UP_S = 120.0
BACK_S = 60.0
QUIET_S = 3.0  # so long nothing more happens after the host is back
GATES = (
    ("wire", "create.wire.taken"),
    ("disks", "create_disks.enter"),
    ("disks", "create.disks.done"),
    ("start", "start.enter"),
    ("start", "create.start.done"),
)


def is_alive(cloud: Cloud, worker: str) -> bool:
    """Tell whether the host of this worker counts as alive."""
    [row] = database.ask(
        cloud.state, "SELECT alive FROM workers_host WHERE name = ?", worker.removeprefix("host-")
    )
    return bool(row[0])


def stop_between_writes(cloud: Cloud, pid: int) -> None:
    """Stop a process when it is not writing: with SQLite's lock in its hand it would stop the whole cloud."""
    for _ in range(20):
        os.kill(pid, signal.SIGSTOP)
        if database.can_be_written(cloud.state):
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.3)
    raise AssertionError(f"process {pid} always writes")


@contextmanager
def stopped(cloud: Cloud, worker: str) -> Iterator[None]:
    """Have the worker do nothing until it has been given up on and the block is over."""
    pid = cloud.process(worker).pid
    stop_between_writes(cloud, pid)
    try:
        until(lambda: not is_alive(cloud, worker), GIVEN_UP_S, f"{worker} to be given up on")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(("step", "gate"), GATES)
def test_a_boot_moves_from_a_host_that_is_cut_off_and_that_does_nothing_more_when_it_is_back(
    split_cloud: Cloud, step: str, gate: str
) -> None:
    cloud = split_cloud
    cloud.gates.close(gate)
    server = boot(cloud)
    pid = cloud.gates.await_reached(gate)
    worker = cloud.name_of(pid)
    with stopped(cloud, worker):
        cloud.gates.open(gate)
        server.await_status("ACTIVE", GIVEN_UP_S)
        elsewhere = server.shown["OS-EXT-SRV-ATTR:host"]
    back_at = time.monotonic()
    until(lambda: is_alive(cloud, worker), BACK_S, f"{worker} to be alive again")
    recover_s = time.monotonic() - back_at
    assert cloud.process(worker).pid == pid
    time.sleep(QUIET_S)
    assert holdings(server) == WHOLE
    assert f"host-{elsewhere}" != worker
    ledger.check_once(server, "create")
    fault = record.at("its host cut off, given up on, and back", gate)
    record.note(record.Row(cloud.stack, "create", step, fault, "succeeded elsewhere", recover_s), fired=True)
    aim.remove(server)


def test_what_was_deleted_while_its_host_was_cut_off_is_cleaned_up_when_that_is_back(
    split_cloud: Cloud,
) -> None:
    cloud = split_cloud
    server = boot(cloud)
    server.await_status("ACTIVE")
    worker = f"host-{server.shown['OS-EXT-SRV-ATTR:host']}"
    with stopped(cloud, worker):
        server.delete()
        server.await_gone(GIVEN_UP_S)
        left = holdings(server)
    until(lambda: is_alive(cloud, worker), BACK_S, f"{worker} to be alive again")
    until(lambda: holdings(server) == NOTHING, BACK_S, "the host to clean up")
    fault = "its host cut off, given up on, and back"
    row = record.Row(cloud.stack, "delete", "all", fault, "succeeded, the host cleaned up when back")
    record.note(row, fired=left == {**NOTHING, "guests": 1, "disk folders": 1})
