"""A worker told to end (SIGTERM): it finishes what it runs, no attempt is lost, and its successor does the rest."""

import os
import signal
import time

import pytest

from computecloud.cli.processes import alive
from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import ACTIVE_S, WHOLE, boot, holdings
from tests.faults import record
from tests.faults.real import aim, ledger
from tests.faults.real.forms import Place, firsts

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

LONG_S = 1.0  # a worker that would not wait for its step would be gone by then
END_S = 20.0
MANY = 12


@pytest.mark.parametrize("place", firsts(), ids=str)
def test_a_worker_that_drains_ends_after_its_step(cloud: Cloud, place: Place) -> None:
    server = place.form.begin(cloud)
    cloud.gates.close(place.gate)
    server = place.form.accept(cloud, server)
    pid = aim.reach(cloud, place.gate)
    worker = cloud.name_of(pid)
    os.kill(pid, signal.SIGTERM)
    time.sleep(LONG_S)
    waited = alive(pid)
    cloud.gates.open(place.gate)
    until(lambda: not alive(pid), END_S, f"{worker} to end")
    cloud.await_back(worker, pid)
    aim.await_end(server, place.form.ends)
    ledger.check_once(server, place.form.kind)
    assert ledger.mishaps(server, place.form.kind) == []
    fault = f"SIGTERM of the {worker.partition('-')[0]} worker"
    aim.note(server, place, fault, None, fired=waited)
    aim.remove(server)


def test_what_waits_in_the_queue_of_a_worker_that_drains_is_done_by_its_successor(cloud: Cloud) -> None:
    gate = "create.disks.taken"
    cloud.gates.close(gate)
    servers = [boot(cloud) for _ in range(MANY)]
    pid = cloud.gates.await_reached(gate)
    worker = cloud.name_of(pid)
    os.kill(pid, signal.SIGTERM)
    time.sleep(LONG_S)
    left = sum(ledger.operation(server, "create").state not in ledger.ENDED for server in servers)
    drained = alive(pid)
    cloud.gates.open(gate)
    opened_at = time.time()
    until(lambda: not alive(pid), END_S, f"{worker} to end")
    for server in servers:
        server.await_status("ACTIVE", ACTIVE_S)
        assert holdings(server) == WHOLE
        assert ledger.mishaps(server, "create") == []
    last_s = max(ledger.operation(server, "create").leased_at for server in servers) - opened_at
    fault = f"SIGTERM of the host worker with {MANY} boots in the queues"
    row = record.Row(aim.stack_of(cloud), "create", "all", fault, "succeeded", last_s)
    record.note(row, fired=drained and left == MANY)
    for server in servers:
        aim.remove(server)
