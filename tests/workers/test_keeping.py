"""Leases that a worker has lost track of, as where the answer to a commit was lost: it frees them itself."""

import time

import pytest

from workers import keeping, recovery
from workers.ledger import Lease
from workers.models import Operation, StepRun
from workers.process import PROCESS


@pytest.fixture
def leased(accepted) -> Operation:
    operation = accepted()
    held = {"lease_token": "t", "lease_worker": PROCESS.name, "lease_until": time.time() + 30}
    Operation.objects.update(**held, attempt=1, state="running")
    keeping._strange.clear()
    return operation


def test_a_lease_that_nothing_here_knows_of_is_freed_after_a_while(leased: Operation):
    keeping.free_forgotten(100.0)
    assert Operation.objects.get().lease_token == "t"
    keeping.free_forgotten(100.0 + keeping.FORGOTTEN_S + 1)
    assert Operation.objects.get().lease_token is None
    assert StepRun.objects.get().outcome == "lost"
    assert "lost track" in StepRun.objects.get().error


def test_a_lease_under_which_a_step_runs_is_kept(leased: Operation):
    with PROCESS.running(Lease(leased.id, 0, "running", "t")):
        for now_s in (100.0, 200.0):
            keeping.free_forgotten(now_s)
    assert Operation.objects.get().lease_token == "t"


def test_a_lease_that_was_strange_for_a_moment_begins_anew(leased: Operation):
    keeping.free_forgotten(100.0)
    with PROCESS.running(Lease(leased.id, 0, "running", "t")):
        keeping.free_forgotten(102.0)
    keeping.free_forgotten(110.0)
    assert Operation.objects.get().lease_token == "t"


def test_a_lease_of_another_worker_is_left_alone(leased: Operation):
    Operation.objects.update(lease_worker="another:1:2")
    for now_s in (100.0, 200.0):
        keeping.free_forgotten(now_s)
    assert Operation.objects.get().lease_token == "t"


def test_a_step_that_hangs_keeps_its_operation_no_longer_than_that_s_time(leased: Operation):
    with PROCESS.running(Lease(leased.id, 0, "running", "t")):
        Operation.objects.update(lease_until=time.time() - 1)
        PROCESS.renew(30.0)
        recovery.sweep()
        assert Operation.objects.get().lease_token == "t", "it has time left"
        Operation.objects.update(lease_until=time.time() - 1, deadline=time.time() - 1)
        PROCESS.renew(30.0)
        recovery.sweep()
    operation = Operation.objects.get()
    assert (operation.state, operation.lease_token) == ("undoing", None)
