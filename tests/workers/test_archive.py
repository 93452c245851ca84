"""Operations that ended long ago leave the ledger; what is still needed stays, and what is read is the same."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError
from django.db.models import Q

from workers import archive, history, probes, recovery
from workers.cancel import CannotCancel, cancel
from workers.hurry import CannotRetry, retry_now
from workers.models import (
    ArchivedOperation,
    Footprint,
    Operation,
    Secret,
    State,
    StepRun,
    Subject,
    SubjectLock,
    utc_now,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def from_the_beginning():
    archive._place.finished_at = None


def ended(*, days_ago: float = 30, **columns) -> Operation:
    at = utc_now() - timedelta(days=days_ago)
    usual = {
        "kind": "toy",
        "state": State.SUCCEEDED,
        "subject_type": "toy",
        "subject_id": uuid.uuid4(),
        "project_id": "p",
        "request_id": f"req-{uuid.uuid4()}",
        "params": {"a": 1},
        "results": {"one": {"b": 2}},
        "created_at": at,
        "updated_at": at,
        "finished_at": at,
    }
    operation = Operation.objects.create(**(usual | columns))
    for attempt, outcome in ((1, "error"), (2, "success")):
        StepRun.objects.create(
            operation=operation,
            step="one",
            attempt=attempt,
            host="h",
            worker="h:1:1",
            started_at=NOON,
            finished_at=NOON + timedelta(microseconds=attempt),
            outcome=outcome,
            error="again" if outcome == "error" else "",
        )
    return operation


def kept() -> set[uuid.UUID]:
    return set(Operation.objects.values_list("id", flat=True))


def archived() -> set[uuid.UUID]:
    return set(ArchivedOperation.objects.values_list("id", flat=True))


def test_what_ended_long_ago_is_moved_with_its_runs_and_reads_the_same():
    operation = ended(state=State.FAILED, error="no power")
    before, runs = history.find(Q(id=operation.id)), history.runs(operation)
    recovery.run_periodic("workers.archive")
    after = history.find(Q(id=operation.id))
    assert (type(before), type(after)) == (Operation, ArchivedOperation)
    for name in archive.COPIED:
        assert getattr(after, name) == getattr(before, name), name
    assert history.runs(after) == runs
    assert [(run.attempt, run.outcome, run.error) for run in runs] == [
        (1, "error", "again"),
        (2, "success", ""),
    ]
    assert not StepRun.objects.exists()


def test_what_is_archived_is_neither_cancelled_nor_retried_and_not_said_to_be_unknown():
    operation = ended()
    recovery.run_periodic("workers.archive")
    assert operation.id in archived()
    with pytest.raises(CannotCancel, match="it is succeeded"):
        cancel(operation.id, by="a test")
    with pytest.raises(CannotRetry, match="it is succeeded"):
        retry_now(operation.id)


def test_what_ended_lately_stays():
    operation = ended(days_ago=6.9)
    archive.run()
    assert (kept(), archived()) == ({operation.id}, set())


def leased(operation):
    Operation.objects.filter(id=operation.id).update(lease_token="t")


def locked(operation):
    subject = Subject.objects.create(id=operation.subject_id, type="toy")
    SubjectLock.objects.create(operation=operation, subject=subject, epoch=1)


def held(operation):
    Subject.objects.create(id=operation.subject_id, type="toy", holder=operation.id)


def secret(operation):
    Secret.objects.create(operation=operation, ciphertext=b"x")


def footprint(operation):
    Footprint.objects.create(
        subject_id=operation.subject_id, operation_id=operation.id, step="s", kind="k", name="n"
    )


def active(operation):
    Operation.objects.filter(id=operation.id).update(state=State.UNDOING)


@pytest.mark.parametrize("keep", [leased, locked, held, secret, footprint, active])
def test_what_the_ledger_still_needs_stays(keep):
    needed, other = ended(), ended()
    keep(needed)
    archive.run()
    assert (kept(), archived()) == ({needed.id}, {other.id})


def test_another_operation_s_footprint_on_the_subject_keeps_nothing():
    operation = ended()
    Footprint.objects.create(
        subject_id=operation.subject_id, operation_id=uuid.uuid4(), step="s", kind="k", name="n"
    )
    archive.run()
    assert archived() == {operation.id}


def test_what_stays_holds_up_nothing_behind_it(monkeypatch):
    monkeypatch.setattr(archive, "BATCH", 2)
    for number in range(5):
        footprint(ended(days_ago=100 - number))
    late = [ended(days_ago=50 - number) for number in range(5)]
    archive.run()
    assert archived() == {operation.id for operation in late}
    freed = Operation.objects.order_by("finished_at").first()
    Footprint.objects.filter(operation_id=freed.id).delete()
    archive.run()
    assert freed.id in archived()


def test_operations_that_ended_at_the_same_moment_are_all_moved(monkeypatch):
    monkeypatch.setattr(archive, "BATCH", 2)
    at = utc_now() - timedelta(days=30)
    same = {ended(finished_at=at).id for _ in range(5)}
    archive.run()
    assert archived() == same


def test_a_crash_between_copy_and_removal_leaves_one_that_is_seen(db):
    operation = ended()
    reached = []

    def crash(name):
        reached.append(name)
        raise KeyboardInterrupt

    with probes.installed(crash), pytest.raises(KeyboardInterrupt):
        archive.run()
    assert reached == ["archive.copied"]
    assert (kept(), archived()) == ({operation.id}, set())
    assert StepRun.objects.count() == 2
    archive._place.finished_at = None
    archive.run()
    assert (kept(), archived()) == (set(), {operation.id})


def test_one_that_is_moved_while_it_is_read_is_shown_once():
    operation = ended()
    twin = {name: getattr(operation, name) for name in archive.COPIED}
    ArchivedOperation.objects.create(**twin)
    assert [one.id for one in history.newest(Q(project_id="p"), limit=None)] == [operation.id]


@pytest.mark.django_db(transaction=True)
def test_the_database_refuses_to_remove_what_is_locked():
    operation = ended()
    locked(operation)
    with pytest.raises(IntegrityError):
        archive.move([operation.id])
    assert (kept(), archived()) == ({operation.id}, set())


def test_what_was_archived_long_ago_is_removed_only_where_that_is_set(monkeypatch):
    old, newer = ended(days_ago=400), ended(days_ago=30)
    archive.run()
    assert archived() == {old.id, newer.id}
    settings = type(archive.CONFIG)(archive_kept_days=365)
    monkeypatch.setattr(archive, "CONFIG", settings)
    archive.run()
    assert archived() == {newer.id}


def test_pages_go_through_ledger_and_archive_as_through_one(monkeypatch):
    subject = uuid.uuid4()
    at = utc_now() - timedelta(days=20)
    made = []
    for number in range(10):  # every other one ended late, so they alternate; pairs began at once
        began = at + timedelta(minutes=number // 2)
        finished = began if number % 2 else utc_now()
        made.append(ended(subject_id=subject, created_at=began, finished_at=finished))
    archive.run()
    assert len(archived()) == len(kept()) == 5
    where, seen = Q(subject_id=subject), []
    while page := history.newest(where, limit=3):
        seen += page
        where = Q(subject_id=subject) & history.after(page[-1])
    expected = sorted(made, key=lambda one: (one.created_at, one.id), reverse=True)
    assert [one.id for one in seen] == [one.id for one in expected]


@pytest.mark.parametrize("count", [1, 30])
def test_moving_and_reading_cost_the_same_for_any_number(count, django_assert_num_queries):
    for _ in range(count):
        ended()
    with django_assert_num_queries(8):  # look; a savepoint and its end; two reads, a copy and two removals
        archive.run()
    assert len(archived()) == count
    with django_assert_num_queries(2):
        assert len(history.newest(Q(project_id="p"), limit=None)) == count
