"""What a message may say, and that one which says more is dropped."""

import uuid

import pytest
from celery.exceptions import Ignore

from workers import clock, forsaken, messages, recovery, runner, tasks
from workers.models import Operation, State, Subject, SubjectLock
from workers.outcome import Outcome

ID = uuid.UUID(int=7)


def test_a_steps_message_says_what_is_read_from_it():
    assert messages.read_step(messages.of_step(ID, "undo", -1), {}) == (ID, "undo", -1)


NEWER = {
    "more words": ([ID.hex, "do", 0, 3], {}),
    "fewer words": ([ID.hex, "do"], {}),
    "a named word": ([ID.hex, "do", 0], {"epoch": 3}),
    "another direction": ([ID.hex, "sideways", 0], {}),
    "a direction that is no word": ([ID.hex, ["do"], 0], {}),
    "a cursor by name": ([ID.hex, "do", "place"], {}),
    "no id": (["server-1", "do", 0], {}),
    "an id that is no text": ([7, "do", 0], {}),
    "nothing": ([], {}),
}


@pytest.mark.parametrize("name", NEWER)
def test_a_message_of_a_newer_form_is_dropped(name: str):
    words, named = NEWER[name]
    assert messages.read_step(words, named) is None
    with pytest.raises(Ignore):
        tasks.step(*words, **named)


def test_the_operation_of_a_dropped_message_stays_as_it_was(accepted):
    operation = accepted()
    with pytest.raises(Ignore):
        tasks.step(operation.id.hex, "do", 0, 99)
    assert Operation.objects.get(id=operation.id).state == State.PENDING


@pytest.mark.parametrize("task", [tasks.sweep, tasks.observe, tasks.echo, tasks.inquiry, tasks.periodic])
def test_any_other_task_drops_what_it_does_not_take(task):
    with pytest.raises(Ignore):
        task(1, 2, 3, 4, newer=True)


def test_periodic_work_that_only_a_newer_beat_knows_does_nothing():
    recovery.run_periodic("of tomorrow")


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
    assert operation.error.startswith("host a is down; no worker knows what of tomorrow is")
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


def test_many_operations_of_newer_workers_hold_up_nothing(accepted, monkeypatch):
    monkeypatch.setattr(recovery, "BATCH", 2)
    late = {"deadline": clock.now() - 1, "dispatched_at": clock.now() - 100}
    for _ in range(3):
        Operation.objects.filter(id=accepted().id).update(kind="of tomorrow", cancelled_by="a", **late)
    ours = accepted()
    Operation.objects.filter(id=ours.id).update(**late | {"dispatched_at": clock.now() - 50})
    recovery.sweep()
    assert Operation.objects.get(id=ours.id).state == "undoing"
