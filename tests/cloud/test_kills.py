"""A worker killed with SIGKILL at any point of a boot or a delete: the server is made once, and goes whole."""

import time

import pytest

from tests.cloud import timings
from tests.cloud.cloud import Cloud
from tests.cloud.servers import ACTIVE_S, NOTHING, WHOLE, boot, holdings

pytestmark = pytest.mark.cloud

AGAIN = [pytest.param(time_, marks=pytest.mark.faults) for time_ in (2, 3)]  # left to bin/test faults
TIMES = [1, *AGAIN]

HOST_STEPS = ("wire", "image", "disks", "start")
POINTS = ("taken", "done", "committed")
CALLS = ("create_disks", "start", "guest")
HOST_GATES = [
    *(f"create.{step}.{point}" for step in HOST_STEPS for point in POINTS),
    *(f"{call}.{side}" for call in CALLS for side in ("enter", "leave")),
]
CONTROL_GATES = [f"create.place.{point}" for point in POINTS]
DELETE_GATES = [
    *(f"delete.clear.{point}" for point in POINTS),
    *(f"{call}.{side}" for call in ("destroy", "remove_disks") for side in ("enter", "leave")),
]


def killed_there(cloud: Cloud, gate: str, *, kind: str = "host") -> None:
    """Boot a server, kill the worker that the gate holds, and see that the server is made as if nothing was."""
    cloud.gates.close(gate)
    server = boot(cloud)
    pid = cloud.gates.await_reached(gate)
    worker = cloud.name_of(pid)
    assert worker.startswith(kind)
    cloud.kill(worker)
    cloud.gates.open(gate)
    began = time.monotonic()
    server.await_status("ACTIVE", ACTIVE_S)
    timings.note(f"{cloud.driver}: {kind} worker killed at {gate}, to ACTIVE", time.monotonic() - began)
    cloud.await_back(worker, pid)
    assert holdings(server) == WHOLE
    server.delete()
    server.await_gone()
    assert holdings(server) == NOTHING


@pytest.mark.parametrize("time_", TIMES)
@pytest.mark.parametrize("gate", HOST_GATES)
def test_a_fake_hosts_worker_killed_at_a_point_of_a_boot_is_made_good(
    fake_cloud: Cloud, gate: str, time_: int
) -> None:
    killed_there(fake_cloud, gate)


@pytest.mark.parametrize("time_", TIMES)
@pytest.mark.parametrize("gate", HOST_GATES)
def test_a_real_hosts_worker_killed_at_a_point_of_a_boot_is_made_good(
    real_cloud: Cloud, gate: str, time_: int
) -> None:
    killed_there(real_cloud, gate)


@pytest.mark.parametrize("gate", CONTROL_GATES)
def test_a_control_worker_killed_while_it_places_is_made_good(fake_cloud: Cloud, gate: str) -> None:
    killed_there(fake_cloud, gate, kind="control")


@pytest.mark.parametrize("gate", DELETE_GATES)
def test_a_real_hosts_worker_killed_at_a_point_of_a_delete_leaves_nothing(
    real_cloud: Cloud, gate: str
) -> None:
    server = boot(real_cloud)
    server.await_status("ACTIVE")
    real_cloud.gates.close(gate)
    server.delete()
    pid = real_cloud.gates.await_reached(gate)
    assert real_cloud.kill(real_cloud.worker) == pid
    real_cloud.gates.open(gate)
    began = time.monotonic()
    server.await_gone(ACTIVE_S)
    timings.note("libvirt: host worker killed during a delete, to gone", time.monotonic() - began)
    real_cloud.await_back(real_cloud.worker, pid)
    assert holdings(server) == NOTHING
