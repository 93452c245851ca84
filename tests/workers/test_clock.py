"""A wall clock that is stepped by an hour either way: nothing is undone for it, waits for it, or keeps a dead lease."""

import time
from types import SimpleNamespace

import pytest

from computecloud.config import CONFIG
from tests.workers import toy
from workers import clock, clock_steps, pulse, recovery, runner, tasks
from workers.ledger import DO
from workers.models import MachineClock, Operation
from workers.process import PROCESS
from workers.testing import Drive

HOUR_S = 3_600.0
BY = pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S], ids=["ahead", "back"])


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch):
    """Return what steps the wall clock; the sweeper has seen the clock before."""
    recovery.sweep()

    def by(seconds: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: time.time() + seconds)

    return by


def an_hour_old(operation: Operation) -> Operation:
    """Let the step be noticed more than a moment after the operation was accepted, as it is in life."""
    Operation.objects.filter(id=operation.id).update(created_at=clock.moment(clock.now() - 60))
    return operation


@BY
def test_an_operation_under_way_keeps_the_time_that_it_has_left(accepted, step, by_s):
    operation = an_hour_old(accepted())
    left_s = operation.deadline - clock.now()
    step(by_s)
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.state == "pending"
    assert operation.deadline - clock.now() == pytest.approx(left_s, abs=5)
    assert operation.dispatched_at <= clock.now()
    assert Drive(operation.id).run().state == "succeeded"


@BY
def test_one_that_is_past_its_time_after_the_step_is_undone_at_once(accepted, step, by_s):
    operation = an_hour_old(accepted())
    step(by_s)
    recovery.sweep()
    step(by_s + 61)  # the monotonic clock cannot be moved here: the row is, as if both had gone on
    MachineClock.objects.update(offset_s=clock.offset_s())
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.state == "undoing"


@BY
def test_the_lease_of_a_step_that_runs_is_not_freed(accepted, step, by_s):
    operation = an_hour_old(accepted())
    Operation.objects.update(lease_token="t", lease_until=clock.now() + CONFIG.lease_s, state="running")
    step(by_s)
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.lease_token == "t"
    assert operation.lease_until == pytest.approx(clock.now() + CONFIG.lease_s, abs=5)


@BY
def test_the_lease_of_a_dead_worker_is_freed_one_period_later(accepted, step, by_s):
    operation = an_hour_old(accepted())
    Operation.objects.update(
        lease_token="t",
        lease_worker="w",
        lease_until=clock.now() + CONFIG.lease_s,
        attempt=1,
        state="running",
    )
    step(by_s)
    recovery.sweep()
    step(by_s + CONFIG.lease_s + 1)
    MachineClock.objects.update(offset_s=clock.offset_s())
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.lease_token is None


@BY
def test_a_step_that_waits_for_a_moment_does_not_wait_an_hour(accepted, step, by_s):
    operation = an_hour_old(accepted())
    for cursor in (0, 1, 3):
        runner.run(operation.id, DO, cursor)
    operation.refresh_from_db()
    assert operation.run_after > clock.now()
    step(by_s)
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.run_after <= clock.now() + 6
    assert operation.dispatched_at <= clock.now() + 6


@BY
def test_what_was_accepted_after_the_step_keeps_its_times(accepted, step, by_s):
    step(by_s)
    operation = accepted()
    recovery.sweep()
    before = operation.deadline
    operation.refresh_from_db()
    assert operation.deadline == before


def test_a_step_is_put_right_once_however_many_sweepers_there_are(accepted, step):
    an_hour_old(accepted())
    step(HOUR_S)
    assert clock_steps.correct() == pytest.approx(HOUR_S, abs=1)
    assert clock_steps.correct() == 0.0


def test_two_sweepers_that_notice_it_together_move_the_times_once(accepted, step):
    operation = an_hour_old(accepted())
    known = MachineClock.objects.get()
    step(HOUR_S)
    assert clock_steps.move(known, clock.offset_s()) == pytest.approx(HOUR_S, abs=1)
    assert clock_steps.move(known, clock.offset_s()) == 0.0
    before = operation.deadline
    operation.refresh_from_db()
    assert operation.deadline - before == pytest.approx(HOUR_S, abs=1)


def test_the_times_of_what_has_ended_are_history(accepted, step):
    far = clock.now() + HOUR_S
    operation = accepted()
    Drive(operation.id).run()
    Operation.objects.update(run_after=far, dispatched_at=far, lease_until=far)
    recovery.sweep()
    operation.refresh_from_db()
    assert {operation.run_after, operation.dispatched_at, operation.lease_until} == {far}


def test_a_machine_that_was_started_again_has_a_clock_of_its_own(accepted, step, monkeypatch):
    operation = an_hour_old(accepted())
    monkeypatch.setattr(clock, "boot_id", lambda: "another")
    step(HOUR_S)
    assert clock_steps.correct() == 0.0
    before = operation.deadline
    operation.refresh_from_db()
    assert operation.deadline == before
    assert MachineClock.objects.get().boot_id == "another"


def test_times_that_a_clock_ahead_of_ours_wrote_are_clamped(accepted, step):
    operation = accepted()
    far = clock.now() + HOUR_S
    Operation.objects.update(run_after=far, dispatched_at=far)
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.run_after <= clock.now() + clock_steps.LONGEST_WAIT_S
    assert operation.dispatched_at <= clock.now()
    Operation.objects.update(lease_token="t", lease_until=far)
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.lease_until <= clock.now() + CONFIG.lease_s


def test_a_renewal_after_the_step_is_worth_one_period(accepted, step):
    operation = accepted()
    runner.run(operation.id, DO, 0)
    runner.run(operation.id, DO, 1)  # the lease of the next step waits in this process
    step(-HOUR_S)
    PROCESS._running.update(Operation.objects.values_list("lease_token", flat=True))
    PROCESS.renew(CONFIG.lease_s)
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.lease_until == pytest.approx(clock.now() + CONFIG.lease_s, abs=5)
    assert toy.WORLD


@BY
def test_a_step_of_several_machines_together_moves_the_times_once(accepted, step, monkeypatch, by_s):
    operation = an_hour_old(accepted())
    MachineClock.objects.create(name="other", boot_id=clock.boot_id(), offset_s=clock.offset_s())
    left_s = operation.deadline - clock.now()
    tasks.observe()
    step(by_s)
    tasks.observe()  # which may come before a sweep
    recovery.sweep()
    monkeypatch.setattr(clock_steps, "CONFIG", SimpleNamespace(host="other", lease_s=CONFIG.lease_s))
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.state == "pending"
    assert operation.deadline - clock.now() == pytest.approx(left_s, abs=5)
    assert clock_steps.correct() == 0.0, "the other machine has seen its step too"


@BY
def test_a_machine_that_alone_was_stepped_leaves_the_times_to_the_others(accepted, step, by_s):
    operation = an_hour_old(accepted())
    step(by_s)
    pulse.note(pulse.BEAT)  # by a machine whose clock agrees with what ours is now
    before = operation.deadline
    assert clock_steps.correct() == 0.0
    operation.refresh_from_db()
    assert operation.deadline == before
