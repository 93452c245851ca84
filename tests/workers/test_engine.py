"""The engine by itself, on a toy workflow: every fault at every point, and what is left."""

import time
import uuid

import pytest
from django.db import transaction

from tests.workers import toy
from workers import acceptance, overtaking, probes, recovery, runner, secrets
from workers.acceptance import SubjectBusy
from workers.ledger import DO
from workers.models import ACTIVE, Footprint, Operation, Secret, StepRun, Subject, SubjectLock
from workers.outcome import Outcome
from workers.testing import Crash, Delivery, Drive, Fault, crash, failure, points, undo_points

ALL = [point for point in points(toy.TOY) if ".maybe." not in point]
BEFORE_COMMIT = [point for point in ALL if not point.endswith("committed") and ".wait.done" not in point]
BACK = [point for point in undo_points(toy.TOY) if "maybe" not in point]


def nothing_is_held(operation: Operation) -> None:
    operation.refresh_from_db()
    assert operation.state not in ACTIVE
    assert operation.lease_token is None
    assert not SubjectLock.objects.filter(operation=operation).exists()
    assert not Subject.objects.filter(holder=operation.id).exists()
    assert not Secret.objects.exists()


def test_a_run_without_faults_does_each_step_once(accepted):
    operation = accepted()
    ended = Drive(operation.id).run()
    assert ended.state == "succeeded"
    assert toy.EFFECTS == {"one": 1, "two": 1, "written": 1}
    assert toy.ENDED == ["done"]
    assert [run.step for run in operation.runs.all()] == ["choose", "one", "wait", "two", "write"]
    assert set(Footprint.objects.values_list("name", "state", "host")) == {
        ("one", "made", "toyhost"),
        ("two", "made", "toyhost"),
    }
    nothing_is_held(operation)


def test_a_step_that_the_parameters_ask_for_runs_too(accepted):
    operation = accepted(maybe=True)
    assert Drive(operation.id).run().state == "succeeded"
    assert toy.EFFECTS["maybe"] == 1


@pytest.mark.parametrize("point", ALL)
def test_a_crash_anywhere_ends_in_success_with_each_effect_once(accepted, point):
    fault = crash(point)
    operation = accepted()
    ended = Drive(operation.id, [fault]).run()
    assert fault.fired == 1
    assert ended.state == "succeeded", ended.error
    assert toy.EFFECTS == {"one": 1, "two": 1, "written": 1}
    nothing_is_held(operation)


@pytest.mark.parametrize("point", BEFORE_COMMIT)
def test_a_retryable_failure_anywhere_ends_in_success(accepted, point):
    fault = failure(point, retryable=True, times=2)
    operation = accepted()
    assert Drive(operation.id, [fault]).run().state == "succeeded"
    assert fault.fired == 2
    assert StepRun.objects.filter(operation=operation, outcome="error").count() == 2


@pytest.mark.parametrize("point", BEFORE_COMMIT)
def test_a_permanent_failure_anywhere_is_undone_to_nothing(accepted, point):
    fault = failure(point, retryable=False)
    operation = accepted()
    ended = Drive(operation.id, [fault]).run()
    assert fault.fired == 1
    assert (ended.state, toy.ENDED) == ("failed", ["undone"])
    assert "made to fail" in ended.error
    assert {key for key in toy.WORLD if not key.startswith("waited")} == set()
    assert not Footprint.objects.exists()
    nothing_is_held(operation)


@pytest.mark.parametrize("point", BACK)
def test_a_crash_while_undoing_still_undoes_everything(accepted, point):
    fault = crash(point)
    operation = accepted()
    ended = Drive(operation.id, [failure("toy.write.done", retryable=False), fault]).run()
    assert fault.fired == 1
    assert ended.state == "failed"
    assert toy.WORLD == {}
    assert not Footprint.objects.exists()
    nothing_is_held(operation)


@pytest.mark.parametrize("point", [point for point in BACK if not point.endswith("committed")])
def test_an_undo_that_raises_once_is_tried_again(accepted, point):
    fault = failure(point, retryable=True)
    operation = accepted()
    Drive(operation.id, [failure("toy.write.done", retryable=False), fault]).run()
    assert fault.fired == 1
    assert toy.WORLD == {}
    assert toy.ENDED == ["undone"]


def test_an_undo_that_always_raises_fails_with_its_footprints_left(accepted):
    operation = accepted()
    always = failure("toy.undo-one.taken", retryable=False, times=99)
    ended = Drive(operation.id, [failure("toy.two.done", retryable=False), always]).run()
    assert (ended.state, toy.ENDED) == ("failed", ["leftovers"])
    assert list(Footprint.objects.values_list("name", "state")) == [("one", "made")]
    assert "undo of one" in ended.error
    nothing_is_held(operation)


def test_links_delivered_twice_do_nothing_the_second_time(accepted):
    operation = accepted()
    assert Drive(operation.id, delivery=Delivery.TWICE).run().state == "succeeded"
    assert toy.EFFECTS == {"one": 1, "two": 1, "written": 1}


def test_undo_links_delivered_twice_do_nothing_the_second_time(accepted):
    operation = accepted()
    assert (
        Drive(operation.id, [failure("toy.write.done", retryable=False)], delivery=Delivery.TWICE).run().state
        == "failed"
    )
    assert toy.WORLD == {}


def test_an_unforeseen_error_is_tried_three_times_and_shows_no_internals(accepted):
    operation = accepted()
    fault = Fault("toy.two.taken", ZeroDivisionError("secret detail"), times=99)
    ended = Drive(operation.id, [fault]).run()
    assert fault.fired == 3
    assert ended.error == "unexpected ZeroDivisionError"


def test_a_step_that_kills_its_worker_each_time_is_given_up(accepted):
    operation = accepted()
    fault = crash("toy.two.taken", times=99)
    ended = Drive(operation.id, [fault]).run()
    assert fault.fired == toy.TOY.steps[4].attempts
    assert ended.state == "failed"
    assert "lost its worker" in ended.error
    assert toy.WORLD == {}


def test_a_workflow_may_begin_anew_after_its_undo(accepted):
    operation = accepted(again=True)
    ended = Drive(operation.id, [failure("toy.two.done", retryable=False)]).run()
    assert (ended.state, ended.round) == ("succeeded", 2)
    assert ended.results["tried"] == [1]


def test_a_busy_subject_refuses_another_operation(accepted):
    operation = accepted()
    with pytest.raises(SubjectBusy), transaction.atomic():
        acceptance.accept(
            kind="toy_delete", subject=("toy", operation.subject_id), project_id="p", user_id="u", params={}
        )
    assert Operation.objects.count() == 1


@pytest.mark.parametrize("point", ALL)
def test_a_delete_at_any_point_overtakes_and_leaves_nothing(accepted, point):
    operation = accepted()
    removal: list[Operation] = []

    def delete_now(reached: str) -> None:
        if reached == point and not removal:
            with transaction.atomic():
                host = Operation.objects.get(id=operation.id).host
                removal.append(
                    overtaking.accept_overtaking(
                        kind="toy_delete",
                        subject=("toy", operation.subject_id),
                        project_id="p",
                        user_id="u",
                        params={},
                        host=host or "toyhost",
                    )
                )

    with probes.installed(delete_now):
        ended = Drive(operation.id).run()
    assert removal
    assert ended.state == (
        "cancelled" if ended.id == operation.id and point != "toy.write.committed" else "succeeded"
    )
    assert Drive(removal[0].id).run().state == "succeeded"
    assert toy.WORLD == {}
    assert not Footprint.objects.exists()
    assert not Subject.objects.exists()
    nothing_is_held(operation)


def test_a_delete_waits_for_the_end_of_a_running_step(accepted):
    operation = accepted()
    Operation.objects.filter(id=operation.id).update(lease_token="t", lease_until=time.time() + 60)
    with transaction.atomic():
        removal = overtaking.accept_overtaking(
            kind="toy_delete",
            subject=("toy", operation.subject_id),
            project_id="p",
            user_id="u",
            params={},
            host="h",
        )
    assert runner.run(removal.id, DO, 0) is Outcome.STOP
    Operation.objects.filter(id=operation.id).update(lease_token=None)
    assert runner.run(removal.id, DO, 0) is Outcome.NEXT


def test_a_second_delete_is_the_first_one(accepted):
    operation = accepted()
    order = {
        "kind": "toy_delete",
        "subject": ("toy", operation.subject_id),
        "project_id": "p",
        "user_id": "u",
        "params": {},
        "host": "h",
    }
    with transaction.atomic():
        first = overtaking.accept_overtaking(**order)
    with transaction.atomic():
        assert overtaking.accept_overtaking(**order).id == first.id


def test_an_operation_past_its_deadline_is_undone(accepted):
    operation = accepted()
    with pytest.raises(Crash):
        with_crash = Drive(operation.id, [crash("toy.two.taken")])
        with with_crash._aimed():
            for number in (0, 1, 3, 3, 4):
                runner.run(operation.id, DO, number)
                Operation.objects.filter(id=operation.id).update(run_after=0)
    Operation.objects.filter(id=operation.id).update(deadline=1, lease_until=1)
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.state == "undoing"
    assert Drive(operation.id).run().state == "failed"
    assert toy.WORLD == {}


def test_an_operation_past_its_deadline_is_not_begun_anew_and_says_what_it_waited_for(accepted):
    operation = accepted(again=True)
    drive = Drive(operation.id)
    drive.step()
    Operation.objects.filter(id=operation.id).update(deadline=1)
    recovery.sweep()
    ended = drive.run()
    assert (ended.state, ended.round) == ("failed", 1)
    assert ended.error.startswith("not finished within 40 s: step one waits for ")


def test_an_operation_that_says_it_has_no_secrets_can_keep_none():
    with transaction.atomic():
        operation = acceptance.accept(
            kind="toy",
            subject=("toy", uuid.uuid4()),
            project_id="p",
            user_id="u",
            params={secrets.FLAG: False},
        )
        with pytest.raises(ValueError, match="has_secrets: false"):
            secrets.keep(operation, {"admin_pass": "swordfish"})
    assert secrets.read(operation.id, operation.params) == {}


def test_secrets_are_kept_encrypted_and_erased_at_the_end():
    with transaction.atomic():
        operation = acceptance.accept(
            kind="toy",
            subject=("toy", uuid.uuid4()),
            project_id="p",
            user_id="u",
            params={},
        )
        secrets.keep(operation, {"admin_pass": "swordfish"})

    assert secrets.read(operation.id, operation.params) == {"admin_pass": "swordfish"}
    assert b"swordfish" not in bytes(Secret.objects.get().ciphertext)
    Drive(operation.id).run()
    nothing_is_held(operation)
