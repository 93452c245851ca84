"""The engine's conditional updates, each condition by itself: one that does not hold, and nothing is changed."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.db.models import F

from computecloud import metrics
from computecloud.wire.errors import NotFound
from tests.workers import toy
from tests.workers.test_recovery import overtake
from workers import (
    acceptance,
    admission,
    dispatch,
    footprints,
    ledger,
    lost_hosts,
    overtaking,
    probes,
    process,
    queues,
    recovery,
    sql,
    workflow,
)
from workers.acceptance import SubjectBusy
from workers.host import HostTaken, HostWorker
from workers.ledger import DO, UNDO, Lease
from workers.models import Footprint, Host, Inquiry, Operation, State, StepRun, Subject, SubjectLock
from workers.outcome import Overtaken
from workers.process import PROCESS, Process
from workers.testing import Drive
from workers.workflow import Context

LATER, EARLIER = time.time() + 10_000, 1.0
OURS = {"state": "running", "cursor": 1, "lease_token": "ours", "host": "toyhost", "attempt": 1}
GOING_BACK = OURS | {"state": "undoing"}


def stands(operation: Operation, **how: Any) -> dict[str, Any]:
    """Have the operation stand like this; returns its row."""
    Operation.objects.filter(id=operation.id).update(**how)
    return row(operation.id)


def row(operation_id: UUID) -> dict[str, Any]:
    return Operation.objects.filter(id=operation_id).values().get()


def lease(operation: Operation, state: str = "running") -> Lease:
    return Lease(operation.id, 1, state, "ours")


def context(operation: Operation) -> Context:
    return Context(
        operation_id=operation.id, kind="toy", subject_id=operation.subject_id, epoch=1, project_id="p",
        user_id="u", request_id="r", host="toyhost", params={}, results={}, token="ours",
    )  # fmt: skip


def take(direction: str) -> Callable[[Operation], object]:
    state = "running" if direction == DO else "undoing"
    return lambda one: ledger.take(lease(one, state), direction=direction, worker="w", lease_s=30)


def advance(state: str) -> Callable[[Operation], object]:
    return lambda one: ledger.advance(lease(one, state), context(one), to=3, token_next="n", lease_s=30)


def end(state: str) -> Callable[[Operation], object]:
    return lambda one: ledger.end(lease(one, state), context(one), state="succeeded")


def end_having_heard(one: Operation) -> object:
    return ledger.end(lease(one, "undoing"), context(one), state="failed", heard=True)


def turn_back(one: Operation) -> object:
    return ledger.turn_back(lease(one), to=0, error="e", undo_s=1)


def begin_anew(one: Operation) -> object:
    return ledger.begin_anew(lease(one, "undoing"), {}, undo_s=1)


def pause(one: Operation) -> object:
    return ledger.pause(lease(one), after_s=1, counts=True)


def ring(one: Operation) -> object:
    return ledger.ring(one.id, 7.0)


FREE = OURS | {
    "lease_token": None,
    "run_after": 0.0,
    "admitted": True,
    "deadline": LATER,
    "dispatched_at": 7.0,
}
FREE_BACK = FREE | {"state": "undoing"}
# What asks, how the row stands where it is its to change, and each way of standing in which it is not.
TABLE: list[tuple[str, Callable[[Operation], object], dict[str, Any], list[dict[str, Any]]]] = [
    (
        "take", take(DO), FREE,
        [
            {"cursor": 0}, {"lease_token": "other"}, {"run_after": LATER}, {"state": "undoing"},
            {"state": "succeeded"}, {"admitted": False}, {"cancelled_by": "x"}, {"deadline": EARLIER},
        ],
    ),
    (
        "take back", take(UNDO), FREE_BACK,
        [{"cursor": 0}, {"lease_token": "other"}, {"run_after": LATER}, {"state": "running"}, {"state": "failed"}],
    ),
    ("advance", advance("running"), OURS, [{"lease_token": "other"}, {"state": "undoing"}, {"cancelled_by": "x"}]),
    (
        "advance back", advance("undoing"), GOING_BACK | {"cancelled_by": "x"},
        [{"lease_token": "other"}, {"state": "failed"}],
    ),
    ("end", end("running"), OURS, [{"lease_token": "other"}, {"state": "cancelled"}, {"state": "undoing"}]),
    ("end back", end("undoing"), GOING_BACK, [{"lease_token": None}, {"state": "running"}]),
    ("turn back", turn_back, OURS, [{"lease_token": "other"}, {"state": "undoing"}, {"state": "cancelled"}]),
    (
        "begin anew", begin_anew, GOING_BACK,
        [{"lease_token": "other"}, {"state": "running"}, {"state": "cancelled"}, {"cancelled_by": "x"}],
    ),
    ("end back, the mark heard of", end_having_heard, GOING_BACK, [{"cancelled_by": "x"}, {"state": "failed"}]),
    ("pause", pause, OURS, [{"lease_token": "other"}, {"cancelled_by": "x"}, {"state": "cancelled"}]),
    ("pause back", pause, GOING_BACK | {"cancelled_by": "x"}, [{"lease_token": "other"}, {"state": "failed"}]),
    ("ring", ring, FREE, [{"dispatched_at": 6.0}, {"lease_token": "other"}]),
]  # fmt: skip
REFUSED = [
    pytest.param(
        ask,
        base | change,
        id=f"{name}: {next(iter(change))} is {'later' if change.get('run_after') else value}",
    )
    for name, ask, base, changes in TABLE
    for change in changes
    for value in [str(next(iter(change.values())))]
]


@pytest.mark.parametrize(("ask", "base"), [pytest.param(ask, base, id=name) for name, ask, base, _ in TABLE])
def test_whoever_stands_as_the_ledger_says_changes_it(accepted, ask, base):
    operation = accepted()
    before = stands(operation, **base)
    assert ask(operation)
    assert row(operation.id) != before


@pytest.mark.parametrize(("ask", "standing"), REFUSED)
def test_whoever_does_not_changes_nothing(accepted, ask, standing):
    operation = accepted()
    before = stands(operation, **standing)
    assert not ask(operation)
    assert row(operation.id) == before


def counted() -> float:
    """Return how many ends of operations this process has counted."""
    samples = [one for family in metrics.OPERATIONS.collect() for one in family.samples]
    return sum(one.value for one in samples if one.name.endswith("_total"))


def test_the_end_of_an_operation_is_counted_by_whoever_ended_it(accepted, django_capture_on_commit_callbacks):
    operation = accepted()
    before = counted()
    stands(operation, **OURS | {"lease_token": "other"})
    with django_capture_on_commit_callbacks(execute=True):
        assert not end("running")(operation)
    assert counted() == before
    stands(operation, **OURS)
    with django_capture_on_commit_callbacks(execute=True):
        assert end("running")(operation)
    assert counted() == before + 1


@pytest.mark.parametrize(("state", "count"), [("succeeded", 0), ("running", 1)])
def test_what_had_ended_before_it_was_overtaken_is_not_counted_again(
    accepted, django_capture_on_commit_callbacks, state, count
):
    operation = accepted()
    stands(operation, state=state)
    before = counted()
    with django_capture_on_commit_callbacks(execute=True):
        overtake(operation)
    assert counted() == before + count


@pytest.mark.parametrize("direction", [DO, UNDO])
def test_a_step_of_an_older_epoch_is_not_taken(accepted, direction):
    operation = accepted()
    stands(operation, **(FREE if direction == DO else FREE_BACK))
    Subject.objects.update(epoch=F("epoch") + 1)
    assert take(direction)(operation) is None


def test_a_step_is_not_taken_while_another_operation_runs_one_on_the_same_subject(accepted):
    operation, other = accepted(), accepted()
    stands(operation, **FREE)
    stands(other, **OURS)
    SubjectLock.objects.filter(operation=other).update(subject_id=operation.subject_id)
    assert take(DO)(operation) is None
    stands(other, lease_token=None)
    assert take(DO)(operation) is not None


@pytest.mark.parametrize("token", ["other", None])
def test_a_step_that_lost_its_lease_holds_nothing(accepted, token):
    operation = accepted()
    stands(operation, **OURS)
    ledger.hold(context(operation))
    stands(operation, lease_token=token)
    with pytest.raises(Overtaken):
        ledger.hold(context(operation))


def test_only_the_footprints_of_this_step_on_this_host_are_noted_as_made(accepted):
    operation = accepted()
    ctx, step = context(operation), toy.TOY.steps[1]
    for name, host in (("one", "toyhost"), ("two", "toyhost"), ("one", "elsewhere")):
        Footprint.objects.create(
            subject_id=ctx.subject_id,
            operation_id=ctx.operation_id,
            step=name,
            kind="k",
            host=host,
            name=name,
        )
    footprints.made(ctx, step)
    made = Footprint.objects.filter(state="made").values_list("step", "host")
    assert list(made) == [("one", "toyhost")]


def test_what_is_gone_from_one_host_is_still_noted_for_another(accepted):
    operation = accepted()
    for host in ("toyhost", "elsewhere"):
        Footprint.objects.create(
            subject_id=operation.subject_id,
            operation_id=operation.id,
            step="one",
            kind="k",
            host=host,
            name="one",
        )
    footprints.forget(operation.subject_id, host="toyhost")
    assert list(Footprint.objects.values_list("host", flat=True)) == ["elsewhere"]


def test_an_operation_that_ends_frees_no_subject_that_another_holds(accepted):
    operation = accepted()
    Subject.objects.update(holder=uuid4())
    held = Subject.objects.values().get()
    ledger.release_subjects(operation.id)
    assert Subject.objects.values().get() == held


def accept_on(subject_id: UUID) -> Operation:
    with transaction.atomic():
        return acceptance.accept(
            kind="toy_delete", subject=("toy", subject_id), project_id="p", user_id="u", params={}
        )


@pytest.mark.parametrize(
    ("stands_so", "refusal"),
    [({"holder": uuid4()}, SubjectBusy), ({"sharers": 1}, SubjectBusy), ({"deleting": True}, NotFound)],
    ids=["held", "shared", "being deleted"],
)
def test_a_subject_that_is_not_free_takes_no_other_operation(db, stands_so, refusal):
    subject = Subject.objects.create(id=uuid4(), type="toy", **stands_so)
    with pytest.raises(refusal):
        accept_on(subject.id)
    assert Subject.objects.filter(id=subject.id, **stands_so).exists()
    assert not Operation.objects.exists()


@pytest.mark.parametrize("standing", [{"admitted": True}, {"state": "cancelled"}, {"state": "undoing"}])
def test_what_was_admitted_or_has_ended_meanwhile_is_not_admitted(accepted, standing):
    operation = accepted()
    before = stands(operation, **{"admitted": False, "state": "pending"} | standing)
    assert sql.fetch(admission._ADMIT, {"yes": True, "now": 1.0, "id": operation.id}) == []
    assert row(operation.id) == before


MOVED_ON = [
    pytest.param({"lease_token": "new"}, id="taken"),
    pytest.param({"state": "succeeded", "lease_token": None}, id="ended"),
]


@pytest.mark.parametrize("standing", [*MOVED_ON, pytest.param({"lease_token": None}, id="freed")])
def test_a_lease_that_is_another_by_now_is_not_freed(accepted, standing):
    operation = accepted()
    stands(operation, **OURS)
    seen = Operation.objects.get(id=operation.id)
    before = stands(operation, **standing)
    recovery.free(seen, "its worker died")
    assert row(operation.id) == before
    assert not StepRun.objects.exists()


@pytest.mark.parametrize(
    "standing",
    [*MOVED_ON, pytest.param({"cursor": 3}, id="a step on"), pytest.param({"state": "undoing"}, id="back")],
)
def test_what_has_moved_since_it_was_seen_is_not_turned_back(accepted, standing):
    operation = accepted()
    stands(operation, **FREE)
    seen = Operation.objects.get(id=operation.id)
    before = stands(operation, **standing)
    assert recovery.turn_back(seen, "too late") is False
    assert recovery.turn_back_cancelled(seen) is False
    assert row(operation.id) == before


@pytest.mark.parametrize("standing", MOVED_ON)
def test_what_has_moved_since_it_was_seen_does_not_fail(accepted, standing):
    operation = accepted()
    stands(operation, **FREE)
    seen = Operation.objects.get(id=operation.id)
    before = stands(operation, **standing)
    recovery.fail(seen, "too late")
    assert row(operation.id) == before
    assert toy.ENDED == []
    assert SubjectLock.objects.filter(operation=operation).exists()


def test_what_fails_ends_and_holds_nothing_any_more(accepted):
    operation = accepted()
    stands(operation, **FREE)
    Subject.objects.update(deleting=True)
    recovery.fail(Operation.objects.get(id=operation.id), "too late")
    assert row(operation.id)["state"] == "failed"
    assert toy.ENDED == ["leftovers"]
    assert not SubjectLock.objects.exists()
    assert Subject.objects.filter(holder=None, deleting=False).exists()


@pytest.mark.parametrize("standing", [{"lease_token": "t"}, {"state": "failed"}, {"admitted": False}])
def test_what_runs_has_ended_or_waits_for_admission_is_not_woken(accepted, standing):
    operation = accepted()
    before = stands(operation, **FREE | {"run_after": LATER} | standing)
    recovery.wake(operation.subject_id)
    assert row(operation.id) == before


@pytest.mark.parametrize("standing", MOVED_ON)
@pytest.mark.parametrize("kind", ["toy", "toy_delete"])
def test_what_has_moved_since_it_was_seen_does_not_leave_its_host(accepted, kind, standing):
    operation = accepted()
    if kind == "toy_delete":
        Drive(operation.id).run()
        operation = overtake(operation)
    stands(operation, **FREE | {"cursor": workflow.get(kind).steps.index(first_on_host(kind))})
    seen = Operation.objects.get(id=operation.id)
    before = stands(operation, **standing)
    epochs = list(Subject.objects.values_list("epoch", flat=True))
    lost_hosts.let_go(seen)
    assert row(operation.id) == before
    assert list(Subject.objects.values_list("epoch", flat=True)) == epochs


def first_on_host(kind: str) -> workflow.Step:
    return next(step for step in workflow.get(kind).steps if step.on == workflow.HOST)


def test_the_epoch_rises_of_what_is_held_alone_and_not_of_what_is_shared(accepted):
    operation = accepted()
    shared = Subject.objects.create(id=uuid4(), type="toy", sharers=1)
    SubjectLock.objects.create(operation=operation, subject=shared, epoch=shared.epoch, exclusive=False)
    stands(operation, **FREE)
    Host.objects.create(name="toyhost")
    lost_hosts.let_go(Operation.objects.get(id=operation.id))
    assert row(operation.id)["state"] == "undoing"
    assert Subject.objects.get(id=operation.subject_id).epoch == 2
    assert Subject.objects.get(id=shared.id).epoch == 1
    assert Drive(operation.id).run().state == "failed"


def test_an_operation_that_has_ended_is_not_cancelled_by_a_delete(accepted):
    operation = accepted()
    Operation.objects.filter(id=operation.id).update(state=State.SUCCEEDED)
    overtake(operation)
    assert row(operation.id)["state"] == "succeeded"
    assert not SubjectLock.objects.filter(operation=operation).exists()


def test_a_subject_that_is_deleted_already_is_not_deleted_again(accepted):
    operation = accepted()
    removal = overtake(operation)
    assert overtake(operation).id == removal.id
    assert Subject.objects.get(id=operation.subject_id).epoch == 2
    with pytest.raises(NotFound), transaction.atomic():
        overtaking.accept_overtaking(
            kind="toy", subject=("toy", uuid4()), project_id="p", user_id="u", params={}
        )


def test_the_lease_of_a_running_step_is_renewed_and_no_other(accepted):
    running, other = accepted(), accepted()
    stands(running, **OURS | {"lease_until": 1.0})
    stands(other, **OURS | {"lease_token": "other", "lease_until": 1.0})
    with PROCESS.running(lease(running)):
        PROCESS.renew(30)
    assert row(running.id)["lease_until"] > time.time()
    assert row(other.id)["lease_until"] == 1.0
    stands(running, lease_until=1.0)
    PROCESS.renew(30)
    assert row(running.id)["lease_until"] == 1.0


def test_a_step_is_renewed_for_as_long_as_it_runs(accepted):
    operation = accepted()
    renewed: list[bool] = []

    def look(point: str) -> None:
        if point == "toy.one.taken":
            stands(operation, lease_until=1.0)
            PROCESS.renew(30)
            renewed.append(row(operation.id)["lease_until"] > time.time())

    with probes.installed(look):
        Drive(operation.id).run()
    assert renewed == [True]


def test_a_host_has_one_worker(db):
    first, second = HostWorker("toyhost"), HostWorker("toyhost")
    lock = first._take_lock()
    with pytest.raises(HostTaken, match="toyhost"):
        second._take_lock()
    lock.close()
    second._take_lock().close()


@pytest.mark.parametrize(("dispatched_at", "messages"), [(1.0, 1), (2.0, 0)])
def test_what_was_rung_since_it_was_seen_is_not_published_again(accepted, dispatched_at, messages):
    operation = accepted()
    stands(operation, admitted=True, run_after=0.0, dispatched_at=1.0)
    seen = Operation.objects.get(id=operation.id)
    stands(operation, dispatched_at=dispatched_at)
    [link] = dispatch.links_of(seen)
    before = queues.depth(link.queue)
    recovery._ring(seen, time.time(), {link.queue: 0})
    assert queues.depth(link.queue) - before == messages


def test_what_somebody_runs_is_not_put_off(accepted):
    operation = accepted()
    before = stands(operation, **OURS)
    ledger.put_off(operation.id, after_s=30)
    assert row(operation.id) == before
    stands(operation, lease_token=None)
    ledger.put_off(operation.id, after_s=30)
    assert row(operation.id)["run_after"] > time.time()


def test_a_subject_is_locked_once_and_until_a_call_that_overran_has_returned():
    worker, subject = Process(), uuid4()
    assert worker.lock(subject)
    assert not worker.lock(subject)
    call: Future[None] = Future()
    worker.unlock(subject, call)
    assert not worker.lock(subject), "nobody knows yet what the call did"
    call.set_result(None)
    assert worker.lock(subject)


@pytest.mark.parametrize("by", ["", "a test"])
def test_the_lease_of_a_lost_baton_is_given_back_whether_cancelled_or_not(accepted, monkeypatch, by):
    operation, worker = accepted(), Process()
    stands(operation, **OURS | {"cancelled_by": by})
    worker.pass_on(lease(operation), context(operation))
    monkeypatch.setattr(process, "BATON_S", -1.0)
    worker.drop_lost_batons()
    assert row(operation.id)["lease_token"] is None
    assert row(operation.id)["attempt"] == (1 if by else 0), "an attempt that was never begun does not count"


def test_a_worker_that_ends_gives_back_what_it_never_began(accepted):
    operation, worker = accepted(), Process()
    stands(operation, **OURS)
    worker.pass_on(lease(operation), context(operation))
    worker.drop_lost_batons()
    assert row(operation.id)["lease_token"] is not None
    worker.drop_batons()
    assert row(operation.id)["lease_token"] is None
    assert row(operation.id)["attempt"] == 0, "an attempt that was never begun does not count"


def test_only_old_questions_are_forgotten(db):
    Inquiry.objects.create(host="h", kind="new")
    Inquiry.objects.create(host="h", kind="old", asked_at=datetime.fromtimestamp(1, UTC))
    recovery.sweep()
    assert list(Inquiry.objects.values_list("kind", flat=True)) == ["new"]
