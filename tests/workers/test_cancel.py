"""Cancelling an operation by the engine alone: at any point, by a mark that decides, and what is refused."""

import time
import uuid

import pytest
from django.db import transaction

from computecloud.config import CONFIG
from computecloud.wire.errors import NotFound
from tests.workers import toy
from tests.workers.test_engine import ALL, nothing_is_held
from workers import acceptance, admission, dispatch, ledger, recovery, route, runner, undoing, waiting
from workers.cancel import CannotCancel, cancel
from workers.ledger import DO, UNDO, Lease
from workers.models import Footprint, Host, Operation, StepRun
from workers.outcome import Outcome
from workers.testing import Drive, cancelled, crash, failure, undo_points
from workers.workflow import Context

LAST = "toy.write."


def is_undone(ended: Operation) -> None:
    assert (ended.state, ended.error) == ("cancelled", "cancelled by a test")
    assert {key for key in toy.WORLD if not key.startswith("waited")} == set()
    assert toy.ENDED == ["undone"]
    assert not Footprint.objects.exists()
    nothing_is_held(ended)


@pytest.mark.parametrize("point", [point for point in ALL if not point.startswith(LAST)])
def test_cancelled_at_any_point_it_is_undone_and_never_begun_anew(accepted, point):
    fault = cancelled(point)
    ended = Drive(accepted(again=True).id, [fault]).run()
    assert fault.fired == 1
    assert ended.round == 1
    is_undone(ended)


@pytest.mark.parametrize("point", [LAST + "taken", LAST + "done"])
def test_the_success_of_the_last_step_wins(accepted, point):
    ended = Drive(accepted().id, [cancelled(point)]).run()
    assert (ended.state, toy.ENDED) == ("succeeded", ["done"])
    nothing_is_held(ended)


def test_a_step_that_fails_or_dies_after_the_mark_is_not_tried_again(accepted):
    for trouble in (failure("toy.two.done", retryable=True), crash("toy.two.done")):
        toy.ENDED.clear()
        operation = accepted()
        ended = Drive(operation.id, [cancelled("toy.two.taken"), trouble]).run()
        assert trouble.fired == 1
        assert StepRun.objects.filter(operation=operation, step="two", undo=False).count() == 1
        is_undone(ended)


def test_one_that_waits_to_be_admitted_is_cancelled_at_once(accepted):
    operations = [accepted() for _ in range(CONFIG.admitted_per_project + 1)]
    assert waiting.of(operations[-1]) == waiting.Waiting(
        "waits for admission: number 1 of its project, 0 accepted before it in the cloud", 1, 0
    )
    cancel(operations[-1].id, by="a test")
    is_undone(Drive(operations[-1].id).run())
    assert admission.admit_next() is None


def test_time_spent_waiting_for_admission_is_not_taken_from_the_deadline(accepted):
    operations = [accepted() for _ in range(CONFIG.admitted_per_project + 1)]
    late = Operation.objects.filter(id=operations[-1].id)
    late.update(deadline=operations[-1].deadline - 1_000, dispatched_at=operations[-1].dispatched_at - 1_000)
    recovery.sweep()
    assert late.get().state == "pending"
    Drive(operations[0].id).run()
    assert admission.admit_next() == operations[-1].id
    assert late.get().deadline > time.time()


def test_a_mark_whose_caller_died_is_found_by_the_sweeper(accepted):
    operation = accepted()
    Operation.objects.filter(id=operation.id).update(cancelled_by="a test")
    assert runner.run(operation.id, DO, 0) is Outcome.STOP
    recovery.sweep()
    assert Operation.objects.get(id=operation.id).state == "undoing"
    is_undone(Drive(operation.id).run())


def test_what_has_ended_or_always_goes_on_is_refused_in_words(accepted):
    ended = accepted()
    Drive(ended.id).run()
    with pytest.raises(CannotCancel, match="it is succeeded"):
        cancel(ended.id, by="a test")
    with transaction.atomic():
        subject = ("toy", ended.subject_id)
        order = {"kind": "toy_delete", "subject": subject, "project_id": "p", "user_id": "u", "params": {}}
        removal = acceptance.accept(**order)
    with pytest.raises(CannotCancel, match="always goes on"):
        cancel(removal.id, by="a test")
    with pytest.raises(NotFound):
        cancel(uuid.uuid4(), by="a test")


UNDONE = [point for point in undo_points(toy.TOY) if point.split(".")[1] in ("undo-one", "undo-two")]


@pytest.mark.parametrize("point", UNDONE)
def test_cancelled_while_it_is_undone_it_ends_there_and_never_begins_anew(accepted, point):
    trigger, fault = failure("toy.two.done", retryable=False), cancelled(point)
    ended = Drive(accepted(again=True).id, [trigger, fault]).run()
    assert (trigger.fired, fault.fired, ended.round) == (1, 1, 1)
    assert (ended.state, ended.error) == ("cancelled", "made to fail at toy.two.done; cancelled by a test")
    assert {key for key in toy.WORLD if not key.startswith("waited")} == set()
    assert toy.ENDED == ["undone"]
    nothing_is_held(ended)


def undone_but_not_ended(operation: Operation) -> tuple[Lease, Context]:
    """Take an operation back to where only its end is left, and take that."""
    drive = Drive(operation.id, [failure("toy.two.done", retryable=False)])
    while Operation.objects.get(id=operation.id).state != "undoing":
        drive.step()
    for link in dispatch.links_of(Operation.objects.get(id=operation.id)):
        if link.cursor != route.FINISH:
            runner.run(operation.id, link.direction, link.cursor)
    lease = Lease(operation.id, route.FINISH, "undoing", "t")
    ctx = ledger.take(lease, direction=UNDO, worker="w", lease_s=30)
    assert ctx is not None
    return lease, ctx


def test_a_mark_that_comes_while_the_end_of_an_undo_is_at_work_is_heard(accepted):
    operation = accepted(again=True)
    lease, ctx = undone_but_not_ended(operation)
    assert cancel(operation.id, by="a test").state == "undoing"
    assert undoing.finish(toy.TOY, lease, ctx) is Outcome.ENDED
    operation.refresh_from_db()
    assert (operation.state, operation.round) == ("cancelled", 1)
    assert operation.error.endswith("; cancelled by a test")


def test_one_that_has_begun_anew_is_turned_back_from_there(accepted):
    operation = accepted(again=True)
    lease, ctx = undone_but_not_ended(operation)
    assert undoing.finish(toy.TOY, lease, ctx) is Outcome.PUBLISH
    assert cancel(operation.id, by="a test").state == "undoing"
    ended = Drive(operation.id).run()
    assert (ended.state, ended.round) == ("cancelled", 2)


def test_the_first_who_cancels_is_named_whatever_it_does_meanwhile(accepted):
    operation = accepted()
    cancel(operation.id, by="a test")
    now = cancel(operation.id, by="another")
    assert (now.state, now.cancelled_by) == ("undoing", "a test")
    is_undone(Drive(operation.id).run())


def test_a_second_call_while_a_step_runs_changes_nothing(accepted):
    operation = accepted()
    Operation.objects.update(lease_token="t", state="running")
    assert cancel(operation.id, by="a test").state == "running"
    assert cancel(operation.id, by="another").cancelled_by == "a test"


def test_an_undo_that_fails_for_good_leaves_a_cancelled_operation_failed_with_both_reasons(accepted):
    always = failure("toy.undo-one.taken", retryable=False, times=99)
    ended = Drive(accepted().id, [cancelled("toy.two.taken"), always]).run()
    assert ended.state == "failed"
    assert ended.error.startswith("cancelled by a test; undo of one: made to fail")
    assert Footprint.objects.count() == 1


def test_a_workflow_that_cannot_write_its_end_ends_all_the_same(accepted, monkeypatch):
    operation = accepted()
    monkeypatch.setattr(toy, "ENDED", None)
    ended = Drive(operation.id, [failure("toy.two.taken", retryable=False)]).run()
    assert ended.state == "failed"
    assert "its end: unexpected AttributeError" in ended.error
    nothing_is_held(ended)


def test_each_thing_that_is_waited_for_is_said_in_words(accepted):
    operation = accepted()
    assert waiting.of(operation).reason == "step choose waits for a control worker"
    for cursor in (0, 1, 3):
        runner.run(operation.id, DO, cursor)
    operation.refresh_from_db()
    assert waiting.of(operation).reason.startswith("once; looked at again at ")
    Operation.objects.update(run_after=0)
    operation.refresh_from_db()
    assert waiting.of(operation).reason == "step wait waits for host toyhost, which is down"
    Host.objects.create(name="toyhost", alive=True)
    assert waiting.of(operation).reason == "once"
    runner.run(operation.id, DO, 3)
    operation.refresh_from_db()
    assert waiting.of(operation) is None
    Operation.objects.update(lease_token=None, waits_for="", run_after=time.time() + 9)
    StepRun.objects.create(
        operation=operation, step="two", attempt=1, outcome="error", error="no luck",
        started_at=operation.created_at, finished_at=operation.created_at,
    )  # fmt: skip
    operation.refresh_from_db()
    assert waiting.of(operation).reason.startswith("step two failed (no luck); tried again at ")
