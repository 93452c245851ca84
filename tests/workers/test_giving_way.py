"""Whoever lost its operation meanwhile ends nothing, turns nothing back, and frees what is its own alone."""

from dataclasses import replace

import pytest

from computecloud.wire.errors import Conflict
from tests.workers import toy
from tests.workers.test_guards import GOING_BACK, OURS, context, lease, row, stands
from tests.workers.test_recovery import overtake
from workers import probes, recovery, runner, secrets, undoing, workflow
from workers.ledger import DO
from workers.models import Footprint, Operation, Secret, StepRun, SubjectLock
from workers.outcome import Outcome, Overtaken
from workers.process import PROCESS
from workers.testing import Drive, Fault, failure
from workers.workflow import Context, Wait


@pytest.mark.parametrize("params", [{}, {"again": True}], ids=["it ends", "it begins anew"])
def test_an_undo_that_another_finishes_is_finished_once(accepted, params):
    operation = accepted(**params)
    before = stands(operation, **GOING_BACK | {"lease_token": "other"})
    ctx = context(operation)
    ctx.params = params
    assert undoing.finish(toy.TOY, lease(operation, "undoing"), ctx) is Outcome.OVERTAKEN
    assert row(operation.id) == before
    assert SubjectLock.objects.filter(operation=operation).exists()


def test_a_cancelled_operation_whose_lease_is_another_s_is_not_turned_back(accepted):
    operation = accepted()
    before = stands(operation, **OURS | {"lease_token": "other", "cancelled_by": "x"})
    assert undoing.give_way(toy.TOY, lease(operation), context(operation)) is Outcome.OVERTAKEN
    assert row(operation.id) == before
    assert not StepRun.objects.exists()


def test_what_was_overtaken_while_its_step_ran_holds_nothing_once_that_has_ended(accepted):
    operation = accepted()
    stands(operation, **OURS)
    overtake(operation)
    assert SubjectLock.objects.filter(operation=operation).exists(), "its step still runs"
    assert undoing.give_way(toy.TOY, lease(operation), context(operation)) is Outcome.OVERTAKEN
    assert not SubjectLock.objects.filter(operation=operation).exists()
    assert row(operation.id)["lease_token"] is None


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, dict[str, object]]] = []

    def info(self, event: str, **words: object) -> None:
        self.said.append(("info", event, words))

    def warning(self, event: str, **words: object) -> None:
        self.said.append(("warning", event, words))


REFUSED, BUG = Conflict("the server is being deleted"), ValueError("a bug")


@pytest.mark.parametrize(
    ("late", "error", "level"),
    [(False, REFUSED, "warning"), (True, REFUSED, "info"), (True, BUG, "warning")],
)
def test_a_step_is_refused_without_a_traceback_where_a_delete_has_overtaken_it(
    accepted, monkeypatch, late, error, level
):
    operation, log = accepted(), Log()
    stands(operation, **OURS)
    if late:
        overtake(operation)
    monkeypatch.setattr(undoing, "log", log)
    undoing.failed(toy.TOY, toy.TOY.steps[0], lease(operation), context(operation), error)
    [(seen, words)] = [(seen, words) for seen, event, words in log.said if event == "step.failed"]
    assert seen == level
    assert ("exc_info" in words) == (level == "warning")


def test_what_gives_way_and_goes_on_elsewhere_holds_its_subject(accepted):
    operation = accepted()
    stands(operation, **OURS)
    assert undoing.give_way(toy.TOY, lease(operation), context(operation)) is Outcome.OVERTAKEN
    assert SubjectLock.objects.filter(operation=operation).exists()


def test_what_is_being_removed_is_noted_so_before_it_goes(accepted):
    operation, seen = accepted(), []

    def look(_operation_id) -> None:
        seen.append(Footprint.objects.get(step="one").state)

    faults = [failure("toy.two.done", retryable=False), Fault("toy.undo-one.done", act=look)]
    assert Drive(operation.id, faults).run().state == "failed"
    assert seen == ["removing"]
    assert not Footprint.objects.exists()


def test_a_step_waits_while_a_call_on_its_subject_has_not_returned(accepted):
    operation = accepted()
    drive = Drive(operation.id)
    drive.step()
    assert PROCESS.lock(operation.subject_id)
    drive.step()
    assert toy.EFFECTS["one"] == 0
    PROCESS.unlock(operation.subject_id)
    assert drive.run().state == "succeeded"
    assert toy.EFFECTS["one"] == 1


def holds_nothing(operation: Operation) -> bool:
    """Tell whether an operation that was overtaken has let go of all that it had."""
    assert row(operation.id)["state"] == "cancelled"
    locks = SubjectLock.objects.filter(operation=operation).exists()
    secret = Secret.objects.filter(operation=operation).exists()
    return row(operation.id)["lease_token"] is None and not locks and not secret


@pytest.mark.parametrize("fault", [None, failure("toy.wait.taken", retryable=True)], ids=["waits", "retries"])
def test_what_was_overtaken_in_a_step_that_was_to_come_again_holds_nothing(accepted, fault):
    operation = accepted()
    secrets.keep(operation, {"admin_pass": "x"})
    outcomes = []

    def reached(point: str) -> None:
        if point == "toy.wait.taken":
            overtake(operation)
            if fault is not None:
                fault.strike(point, operation.id)

    with probes.installed(reached):
        outcomes = [runner.run(operation.id, DO, cursor) for cursor in (0, 1, 3)]
    assert outcomes[-1] is Outcome.OVERTAKEN, "what overtook it is told"
    assert holds_nothing(operation)


def overtaken_between_two_steps(operation: Operation) -> Operation:
    secrets.keep(operation, {"admin_pass": "x"})
    runner.run(operation.id, DO, 0)
    runner.run(operation.id, DO, 1)
    overtake(operation)
    return operation


def test_what_was_overtaken_while_its_subject_was_busy_on_the_host_holds_nothing(accepted):
    operation = overtaken_between_two_steps(accepted())
    assert PROCESS.lock(operation.subject_id)
    try:
        assert runner.run(operation.id, DO, 3) is Outcome.OVERTAKEN
    finally:
        PROCESS.unlock(operation.subject_id)
    assert holds_nothing(operation)


def test_what_was_overtaken_between_two_steps_holds_nothing_once_its_message_is_lost(accepted):
    operation = overtaken_between_two_steps(accepted())
    assert row(operation.id)["lease_token"] is not None
    PROCESS.drop_batons()
    assert holds_nothing(operation)


def test_what_was_overtaken_while_its_undo_was_to_wait_holds_nothing(accepted):
    operation = accepted()
    secrets.keep(operation, {"admin_pass": "x"})
    stands(operation, **GOING_BACK)

    def waits(_: Context) -> Wait:
        overtake(operation)
        return Wait(1.0, "it takes long")

    step = replace(toy.TOY.steps[1], undo=waits)
    with pytest.raises(Overtaken):
        undoing.undo(toy.TOY, step, lease(operation, "undoing"), context(operation))
    assert undoing.give_way(toy.TOY, lease(operation, "undoing"), context(operation)) is Outcome.OVERTAKEN
    assert holds_nothing(operation)


def test_what_was_overtaken_while_a_worker_found_that_it_does_not_know_it_holds_nothing(
    accepted, monkeypatch
):
    operation = accepted()
    secrets.keep(operation, {"admin_pass": "x"})
    monkeypatch.setattr(workflow, "find", lambda _: overtake(operation) and None)
    assert runner.run(operation.id, DO, 0) is Outcome.STOP
    assert holds_nothing(operation)


def test_what_was_taken_again_while_it_was_to_fail_goes_on(accepted, monkeypatch):
    operation = accepted()

    def taken_meanwhile(_: Context) -> None:
        stands(operation, lease_token="another")

    before = row(operation.id)
    monkeypatch.setitem(workflow._registry, "toy", replace(toy.TOY, undone=taken_meanwhile))
    recovery.fail(operation, "too late")
    assert row(operation.id) == before, "what the workflow wrote is not kept either"
    assert SubjectLock.objects.filter(operation=operation).exists()


def test_what_was_overtaken_after_its_lease_was_seen_to_run_out_holds_nothing(accepted):
    operation = accepted()
    secrets.keep(operation, {"admin_pass": "x"})
    stands(operation, **OURS)
    seen = Operation.objects.get(id=operation.id)
    overtake(operation)
    recovery.free(seen, "its lease ran out")
    assert holds_nothing(operation)
