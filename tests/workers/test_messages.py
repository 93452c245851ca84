"""What a message may say, and that one which says more is dropped."""

import uuid

import pytest
from celery.exceptions import Ignore

from workers import clock, messages, recovery, runner, tasks
from workers.models import Operation, State
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


def test_a_lost_lease_of_a_kind_that_only_newer_workers_know_holds_up_no_other(accepted):
    for operation, kind in ((accepted(), "of tomorrow"), (accepted(), "toy")):
        held = {
            "lease_token": operation.id.hex,
            "lease_worker": "toyhost:1:99",
            "lease_until": clock.now() + 60,
        }
        Operation.objects.filter(id=operation.id).update(kind=kind, state=State.RUNNING, attempt=1, **held)
    recovery.take_over_host("toyhost")
    assert dict(Operation.objects.values_list("kind", "lease_worker").filter(lease_token=None)) == {
        "toy": "toyhost:1:99"
    }
    Operation.objects.update(lease_token=None)
