"""What ends a step, an undo or an operation is written whole or not at all: the worker dies between two statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from tests.workers import toy
from workers import clock, lost_hosts, recovery, runner, undoing
from workers.ledger import DO, UNDO, Lease
from workers.models import Footprint, Host, Operation, StepRun, Subject, SubjectLock
from workers.outcome import Outcome
from workers.process import PROCESS
from workers.testing import Crash, Drive, failure
from workers.workflow import Context

EVERYTHING = (Operation, StepRun, Subject, SubjectLock, Footprint, Host)


def rows() -> list[list[dict[str, Any]]]:
    """Return every row that the engine writes, without the times of a lease."""
    return [list(model.objects.order_by("pk").values()) for model in EVERYTHING]


@contextmanager
def death_at(words: str) -> Iterator[list[list[list[dict[str, Any]]]]]:
    """Die when the first statement that begins so is about to run; yields what was there before its transaction."""
    seen: list[list[list[dict[str, Any]]]] = []

    def execute_or_die(execute: Any, statement: str, *rest: Any) -> Any:
        if " ".join(statement.split()).startswith(words):
            raise Crash
        return execute(statement, *rest)

    with connection.execute_wrapper(execute_or_die), pytest.raises(Crash):
        seen.append(rows())
        yield seen


def begun(accepted, cursor: int, state: str = "running") -> tuple[Operation, Lease, Context]:
    """Accept an operation, and take the step at the cursor as a worker that then does it would."""
    operation = accepted()
    Operation.objects.filter(id=operation.id).update(
        state=state, cursor=cursor, host="toyhost", lease_token="ours", lease_worker="w", attempt=1
    )
    Host.objects.create(name="toyhost", alive=True)
    ctx = Context(
        operation_id=operation.id, kind="toy", subject_id=operation.subject_id, epoch=1, project_id="p",
        user_id="u", request_id="r", host="toyhost", params={}, results={}, error="e", token="ours",
        started_at=clock.now(),
    )  # fmt: skip
    return operation, Lease(operation.id, cursor, state, "ours"), ctx


def test_the_end_of_a_step_is_one_with_its_run_and_its_footprints(accepted):
    operation, lease, ctx = begun(accepted, 1)
    step = toy.TOY.steps[1]
    Footprint.objects.create(
        subject_id=ctx.subject_id,
        operation_id=operation.id,
        step="one",
        kind="thing",
        host="toyhost",
        name="one",
    )
    with death_at("UPDATE workers_operation SET cursor") as before:
        runner._do(toy.TOY, step, lease, ctx)
    assert toy.EFFECTS["one"] == 1, "the effect was there when the worker died"
    assert rows() == before[0]


def test_a_failed_attempt_is_one_with_what_follows_from_it(accepted):
    _, lease, ctx = begun(accepted, 1)
    with death_at("UPDATE workers_operation SET state = 'undoing'") as before:
        undoing.failed(toy.TOY, toy.TOY.steps[1], lease, ctx, failure("x", retryable=False).error)
    assert rows() == before[0]


def test_the_undo_of_a_step_is_one_with_the_end_of_its_footprints(accepted):
    operation, lease, ctx = begun(accepted, 1, "undoing")
    Footprint.objects.create(
        subject_id=ctx.subject_id, operation_id=operation.id, step="one", kind="thing", host="toyhost",
        name="one", state="removing",
    )  # fmt: skip
    with death_at("UPDATE workers_operation SET cursor") as before:
        undoing.undo(toy.TOY, toy.TOY.steps[1], lease, ctx)
    assert rows() == before[0]


def test_the_end_of_an_undo_is_one_with_what_the_workflow_writes(accepted):
    operation, lease, ctx = begun(accepted, -1, "undoing")

    def write(_: Context) -> None:
        Subject.objects.filter(id=operation.subject_id).update(type="written")

    with death_at("UPDATE workers_operation SET state") as before:
        undoing.finish(replace(toy.TOY, undone=write), lease, ctx)
    assert rows() == before[0]


def test_what_a_workflow_wrote_before_it_failed_to_write_its_end_is_not_kept(accepted):
    operation, _, ctx = begun(accepted, -1, "undoing")

    def write_half(_: Context) -> None:
        Subject.objects.filter(id=operation.subject_id).update(type="written")
        raise KeyError("a bug")

    before = rows()
    undoing.write_undone(write_half, ctx)
    assert rows() == before
    assert ctx.leftovers
    assert "its end: unexpected KeyError" in ctx.error


def test_a_cancelled_step_that_gives_way_is_one_with_its_run(accepted):
    operation, lease, ctx = begun(accepted, 1)
    Operation.objects.filter(id=operation.id).update(cancelled_by="a test")
    with death_at("INSERT INTO workers_steprun") as before:
        undoing.give_way(toy.TOY, lease, ctx)
    assert rows() == before[0]


def test_a_lease_is_freed_together_with_the_note_of_its_loss(accepted):
    operation, _, _ = begun(accepted, 1)
    with death_at('INSERT INTO "workers_steprun"') as before:
        recovery.free(Operation.objects.get(id=operation.id), "its worker died")
    assert rows() == before[0]


def test_an_operation_fails_together_with_what_it_held(accepted):
    operation, _, _ = begun(accepted, 1)
    Operation.objects.filter(id=operation.id).update(lease_token=None)
    with death_at("DELETE FROM workers_subjectlock") as before:
        recovery.fail(Operation.objects.get(id=operation.id), "too late")
    assert rows() == before[0]


def test_an_operation_leaves_a_dead_host_together_with_its_epoch(accepted):
    operation, _, _ = begun(accepted, 1)
    Operation.objects.filter(id=operation.id).update(lease_token=None)
    with death_at('UPDATE "workers_subject" SET "epoch"') as before:
        lost_hosts.let_go(Operation.objects.get(id=operation.id))
    assert rows() == before[0]


def test_a_cancelled_step_whose_subject_is_locked_turns_back_at_once(accepted):
    operation = accepted()
    runner.run(operation.id, DO, 0)
    assert runner.run(operation.id, DO, 1) is Outcome.NEXT
    Operation.objects.filter(id=operation.id).update(cancelled_by="a test")
    assert PROCESS.lock(operation.subject_id)
    try:
        assert runner.run(operation.id, DO, 3) is Outcome.PUBLISH
    finally:
        PROCESS.unlock(operation.subject_id)
    assert Operation.objects.get(id=operation.id).state == "undoing"
    assert Drive(operation.id).run().state == "cancelled"
    assert runner.run(operation.id, UNDO, 1) is Outcome.STOP
