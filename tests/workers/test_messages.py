"""What a message may say, and that one which says more is dropped."""

import uuid

import pytest
from celery.exceptions import Ignore

from workers import messages, recovery, tasks
from workers.models import Operation, State

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
