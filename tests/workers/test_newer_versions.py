"""Operations of kinds that only a newer version knows: left to it, in nobody's way, and ended where it is gone."""

import pytest

from tests.workers.test_recovery import empty_queue, overtake
from workers import clock, forsaken, hurry, invariants, recovery, runner
from workers.ledger import DO
from workers.models import Host, Operation, State, Subject, SubjectLock
from workers.outcome import Outcome
from workers.testing import Drive

DUE = "what is due is published"


def test_an_operation_of_a_kind_that_only_newer_workers_know_is_left_to_them(accepted):
    operation = accepted()
    Operation.objects.update(kind="of tomorrow")
    assert runner.run(operation.id, "do", 0) is Outcome.STOP
    after = Operation.objects.get(id=operation.id)
    assert (after.lease_token, after.attempt) == (None, 0)
    assert after.run_after > clock.now()


def test_a_lost_lease_of_a_kind_that_only_newer_workers_know_is_freed_for_them_and_holds_up_no_other(
    accepted,
):
    for operation, kind in ((accepted(), "of tomorrow"), (accepted(), "toy")):
        held = {
            "lease_token": operation.id.hex,
            "lease_worker": "toyhost:1:99",
            "lease_until": clock.now() + 60,
        }
        Operation.objects.filter(id=operation.id).update(kind=kind, state=State.RUNNING, attempt=1, **held)
    recovery.take_over_host("toyhost")
    assert set(Operation.objects.values_list("kind", "lease_token", "state")) == {
        ("of tomorrow", None, "running"),
        ("toy", None, "running"),
    }


def test_what_nobody_ends_a_minute_after_its_deadline_fails_and_frees_its_subject(accepted):
    operation = accepted()
    deadline = clock.now() - forsaken.LATE_S
    Operation.objects.update(kind="of tomorrow", error="host a is down", deadline=deadline + 2)
    recovery.sweep()
    assert Operation.objects.get().state == "pending", "a newer worker may end it yet"
    Operation.objects.update(deadline=deadline - 2, lease_token="t", lease_until=clock.now() + 60)
    recovery.sweep()
    assert Operation.objects.get().state == "pending", "a newer worker runs a step of it"
    Operation.objects.update(lease_until=clock.now() - 1)
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.state == "failed"
    assert operation.error.startswith("no worker knows what of tomorrow is")
    assert operation.error.endswith("; host a is down")
    assert not SubjectLock.objects.exists()
    assert Subject.objects.get().holder is None


def test_what_only_newer_workers_know_is_admitted_in_its_turn_and_keeps_no_other_waiting(accepted):
    operation, other = accepted(), accepted()
    now = clock.now()  # its time stood still while it waited for its turn
    Operation.objects.update(admitted=False, dispatched_at=now - 200, deadline=now - 100)
    Operation.objects.filter(id=operation.id).update(kind="of tomorrow")
    recovery.sweep()
    admitted = Operation.objects.filter(admitted=True, state="pending", deadline__gt=now)
    assert list(admitted.order_by("created_at")) == [operation, other]


@pytest.mark.parametrize(
    ("how", "after"),
    [
        ({"deadline": 1.0}, {"state": "undoing"}),
        ({"cancelled_by": "a"}, {"state": "undoing"}),
        ({"host": "down", "cursor": 1}, {"state": "undoing"}),
        ({"rings": 0}, {"rings": 1}),
        ({"run_after": 1.0}, {"rings": 1}),
    ],
    ids=["late", "cancelled", "on a dead host", "lost", "woken"],
)
def test_many_operations_of_newer_workers_hold_up_nothing(accepted, monkeypatch, how, after):
    Host.objects.create(name="down", alive=False)
    monkeypatch.setattr(recovery, "BATCH", 2)
    monkeypatch.setattr(forsaken, "LATE_S", 1e12)
    rows = [accepted().id for _ in range(4)]
    Operation.objects.filter(id__in=rows).update(dispatched_at=clock.now() - 100, **how)
    Operation.objects.filter(id__in=rows[:3]).update(kind="of tomorrow")
    # What is woken is rung at once, however lately it was published.
    Operation.objects.filter(id=rows[3]).update(dispatched_at=clock.now() - (1 if "run_after" in how else 50))
    empty_queue()
    recovery.sweep()
    assert Operation.objects.filter(id=rows[3]).values(*after).get() == after
    assert not Operation.objects.filter(id__in=rows[:3]).exclude(state="pending", rings=0).exists()


def test_a_delete_does_not_wait_for_a_lost_lease_of_what_only_newer_workers_know(accepted):
    operation = accepted()
    held = {"lease_token": "t", "lease_worker": "toyhost:1:99", "lease_until": clock.now() + 60}
    Operation.objects.update(kind="of tomorrow", cancelled_by="a", **held)
    removal = overtake(operation)
    assert runner.run(removal.id, DO, 0) is Outcome.STOP
    recovery.take_over_host("toyhost")
    assert not SubjectLock.objects.filter(operation=operation).exists()
    assert Operation.objects.get(id=operation.id).lease_token is None
    assert Operation.objects.get(id=removal.id).run_after == 0, "it is woken"
    assert Drive(removal.id).run().state == "succeeded"


def test_what_only_newer_workers_know_is_not_tried_again_now(accepted):
    operation = accepted()
    Operation.objects.update(kind="of tomorrow")
    with pytest.raises(hurry.CannotRetry, match="of a newer version"):
        hurry.retry_now(operation.id)


def test_a_lost_lease_of_a_cancelled_one_is_freed_and_its_subject_woken(accepted):
    held = {"lease_token": "t", "lease_worker": "toyhost:1:99", "lease_until": clock.now() + 60}
    accepted()
    Operation.objects.update(kind="of tomorrow", state="running", cancelled_by="a", **held)
    assert recovery.take_over_host("toyhost") == 1
    assert Operation.objects.values_list("lease_token", "state").get() == (None, "running")


def test_doctor_says_nothing_of_what_only_newer_workers_ring_for(accepted):
    accepted()
    Operation.objects.update(kind="of tomorrow", dispatched_at=clock.now() - 1_000)
    assert list(invariants.of(DUE)) == []
    Operation.objects.update(kind="toy")
    assert len(list(invariants.of(DUE))) == 1
