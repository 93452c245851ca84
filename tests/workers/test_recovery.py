"""Recovery, fairness and liveness: what happens when messages, workers or hosts are gone."""

import importlib
import threading
import time

import pytest
from celery import current_app
from django.db import connections, transaction
from kombu.exceptions import OperationalError
from kombu.transport.memory import Channel

from computecloud.config import CONFIG
from tests.workers import toy
from workers import (
    admission,
    dispatch,
    events,
    liveness,
    lost_hosts,
    overtaking,
    process,
    queues,
    recovery,
    runner,
)
from workers.ledger import DO
from workers.models import Host, Operation, StepRun, SubjectLock
from workers.outcome import Outcome
from workers.process import PROCESS
from workers.testing import Drive


def test_an_expired_lease_is_freed_and_the_lost_attempt_noted(accepted):
    operation = accepted()
    Operation.objects.update(lease_token="t", lease_worker="w", lease_until=1, attempt=1, state="running")
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.lease_token is None
    assert StepRun.objects.get().outcome == "lost"
    assert Drive(operation.id).run().state == "succeeded"


def test_a_live_lease_is_left_alone(accepted):
    operation = accepted()
    Operation.objects.update(lease_token="t", lease_until=time.time() + 60)
    recovery.sweep()
    operation.refresh_from_db()
    assert operation.lease_token == "t"


def test_an_operation_that_was_never_taken_is_published_again_with_growing_pauses(accepted):
    operation = accepted()
    for rings, quiet_s, expected in [(0, 2, 0), (0, 4, 1), (1, 4, 1), (1, 7, 2)]:
        empty_queue()
        Operation.objects.update(dispatched_at=time.time() - quiet_s, rings=rings)
        recovery.sweep()
        operation.refresh_from_db()
        assert operation.rings == expected


def test_an_operation_whose_message_may_wait_in_the_queue_is_rung_later(accepted):
    operation = accepted()
    empty_queue()
    for quiet_s, expected in ((10, 1), (10, 1), (13, 2), (10, 2), (13, 3), (13, 3)):
        Operation.objects.update(dispatched_at=time.time() - quiet_s)
        recovery.sweep()
        operation.refresh_from_db()
        assert operation.rings == expected, quiet_s


def test_what_the_broker_does_not_take_is_no_ring(accepted, monkeypatch):
    operation = accepted()
    empty_queue()
    monkeypatch.setattr(dispatch._silence, "until_s", 0.0)
    seen = time.time() - 7
    Operation.objects.update(dispatched_at=seen, rings=1)

    def refuse(*words: object, **options: object) -> None:
        raise OperationalError("timeout reading from socket")

    with monkeypatch.context() as broken:
        broken.setattr(Channel, "_put", refuse)
        recovery.sweep()  # a connection turns out to be half open
    assert dispatch.rests()
    recovery.sweep()  # the broker is not asked yet
    operation.refresh_from_db()
    assert operation.rings == 0
    assert operation.dispatched_at > seen, "what else is due comes before it"
    Operation.objects.update(dispatched_at=time.time() - recovery.RING_AFTER_S - 1)
    recovery.sweep()  # it is due, and the broker is not asked yet
    operation.refresh_from_db()
    assert (operation.rings, queues.depth("control")) == (0, 0)
    dispatch._silence.until_s = 0.0
    recovery.sweep()
    operation.refresh_from_db()
    assert (operation.rings, queues.depth("control")) == (1, 1)


@pytest.mark.parametrize("run_after", [0.0, 1.0], ids=["lost", "woken"])
def test_a_queue_that_takes_no_message_holds_up_no_other(accepted, monkeypatch, run_after):
    stuck = accepted()
    runner.run(stuck.id, DO, 0)
    Operation.objects.filter(id=stuck.id).update(lease_token=None, run_after=run_after, dispatched_at=5.0)
    well = accepted()
    empty_queue()
    put = Channel._put

    def refuse(self: Channel, queue: str, *words: object, **options: object) -> None:
        if queue.startswith("host."):
            raise OperationalError("the queue has no majority")
        put(self, queue, *words, **options)

    monkeypatch.setattr(Channel, "_put", refuse)
    monkeypatch.setattr(dispatch._silence, "until_s", 0.0)
    recovery.sweep()
    Operation.objects.filter(id=well.id).update(dispatched_at=time.time() - recovery.RING_AFTER_S - 1)
    dispatch._silence.until_s = 0.0
    recovery.sweep()
    assert Operation.objects.get(id=well.id).rings == 1
    assert Operation.objects.get(id=stuck.id).rings == 0


def empty_queue() -> None:
    with current_app.connection_for_write() as broker:
        broker.default_channel.queue_declare("control")
        broker.default_channel.queue_purge("control")


def test_a_worker_that_takes_its_host_frees_what_the_last_one_held(accepted):
    operation = accepted()
    runner.run(operation.id, DO, 0)
    Operation.objects.update(
        lease_token="t", lease_worker="toyhost:1:99", lease_until=time.time() + 60, attempt=1
    )
    assert recovery.take_over_host("toyhost") == 1
    operation.refresh_from_db()
    assert operation.lease_token is None


def test_a_worker_that_takes_its_host_keeps_what_it_runs_already(accepted):
    operation = accepted()
    runner.run(operation.id, DO, 0)
    Operation.objects.update(
        lease_token="t", lease_worker=PROCESS.name, lease_until=time.time() + 60, attempt=1
    )
    assert recovery.take_over_host(PROCESS.name.partition(":")[0]) == 0
    operation.refresh_from_db()
    assert operation.lease_token == "t"
    assert not StepRun.objects.filter(operation=operation, outcome="lost").exists()


@pytest.mark.parametrize(
    ("worker", "until_s", "recover"),
    [
        ("elsewhere:1:99", -1.0, recovery.sweep),
        ("toyhost:1:99", 60.0, lambda: recovery.take_over_host("toyhost")),
        ("control:toyhost:9999999", 60.0, lambda: recovery.take_over_control("control:toyhost:")),
    ],
    ids=["lease ran out", "host taken over", "control taken over"],
)
def test_a_delete_does_not_wait_for_the_dead_worker_of_what_it_overtook(accepted, worker, until_s, recover):
    operation = accepted()
    runner.run(operation.id, DO, 0)
    Operation.objects.update(
        lease_token="t", lease_worker=worker, lease_until=time.time() + until_s, attempt=1, leased_at=1.0
    )
    removal = overtake(operation)
    assert runner.run(removal.id, DO, 0) is Outcome.STOP
    recover()
    operation.refresh_from_db()
    assert (operation.state, operation.lease_token) == ("cancelled", None)
    assert not SubjectLock.objects.filter(operation=operation).exists()
    assert StepRun.objects.filter(operation=operation, outcome="lost").count() == 1
    assert Drive(removal.id).run().state == "succeeded"


def test_a_control_worker_that_takes_over_publishes_what_the_last_one_had_fetched(accepted):
    for_host, forgotten, *_ = [accepted() for _ in range(recovery.FETCHED + 4)]
    runner.run(for_host.id, DO, 0)
    Operation.objects.filter(id=forgotten.id).update(kind="forgotten")
    later = accepted()
    Operation.objects.filter(id=later.id).update(run_after=time.time() + 60)
    empty_queue()
    assert recovery.take_over_control("control:toyhost:") == 0
    assert queues.depth("control") == recovery.FETCHED
    Operation.objects.exclude(id__in=[for_host.id, forgotten.id, later.id]).update(run_after=time.time() + 60)
    empty_queue()
    recovery.take_over_control("control:toyhost:")
    assert queues.depth("control") == 0, "neither what waits for its host, nor what is not due"


def overtake(operation: Operation) -> Operation:
    with transaction.atomic():
        return overtaking.accept_overtaking(
            kind="toy_delete",
            subject=("toy", operation.subject_id),
            project_id="p",
            user_id="u",
            params={},
            host="toyhost",
        )


def test_a_control_worker_leaves_a_step_to_its_host(accepted, monkeypatch):
    operation = accepted()
    runner.run(operation.id, DO, 0)
    monkeypatch.setattr(process, "CONFIG", type("Control", (), {"role": "control"}))
    assert runner.run(operation.id, DO, 1) is Outcome.STOP
    assert toy.WORLD == {}
    monkeypatch.undo()
    assert Drive(operation.id).run().state == "succeeded"


def test_a_stale_link_stops(accepted):
    operation = accepted()
    assert runner.run(operation.id, DO, 3) is Outcome.STOP
    assert runner.run(operation.id, DO, 0) is Outcome.NEXT
    assert runner.run(operation.id, DO, 0) is Outcome.STOP


def test_a_tenant_with_enough_in_the_queues_waits_its_turn(accepted):
    operations = [accepted() for _ in range(CONFIG.admitted_per_project + 2)]
    waiting = [operation for operation in operations if not operation.admitted]
    assert len(waiting) == 2
    assert runner.run(waiting[0].id, DO, 0) is Outcome.STOP
    Drive(operations[0].id).run()
    assert admission.admit_next() == waiting[0].id
    assert admission.admit_next() is None
    assert Drive(waiting[0].id).run().state == "succeeded"


@pytest.fixture
def watched(db, monkeypatch):
    """Return four hosts that live; whom a test has told of deaths hears of none of the next test."""
    monkeypatch.setitem(events._handlers, "host.dead", [*events._handlers["host.dead"]])
    return [Host.objects.create(name=f"h{number}", alive=True, counter=1) for number in range(4)]


def watch(*, from_s: float, to_s: float) -> None:
    """Observe the hosts as beat has it done."""
    for now_s in range(int(from_s), int(to_s), 10):
        liveness.observe(now_s=now_s)


def test_a_host_whose_counter_stands_still_is_dead_and_said_to_be(watched):
    dead: list[str] = []
    events.on("host.dead", lambda *, host: dead.append(host))
    liveness.observe(now_s=0)
    Host.objects.exclude(name="h0").update(counter=2)
    watch(from_s=10, to_s=CONFIG.host_dead_after_s + 20)
    assert dead == ["h0"]
    assert not Host.objects.get(name="h0").alive


def test_a_host_that_was_given_up_on_hears_of_it_and_says_itself_when_it_is_alive_again(watched):
    assert not liveness.beat("h0")
    liveness.observe(now_s=0)
    Host.objects.filter(name="h0").update(alive=False)
    assert liveness.beat("h0")
    liveness.observe(now_s=1)
    assert not Host.objects.get(name="h0").alive
    liveness.revive("h0")
    assert Host.objects.get(name="h0").alive


def test_a_host_that_an_operator_forced_down_does_not_come_back_by_itself(watched):
    Host.objects.filter(name="h0").update(forced_down=True)
    assert sorted(dict(liveness.observe(now_s=0))) == ["h1", "h2", "h3"]
    assert not Host.objects.get(name="h0").alive
    assert not liveness.beat("h0")
    liveness.revive("h0")
    assert not Host.objects.get(name="h0").alive


def test_a_host_that_is_heard_while_others_are_declared_dead_lives(watched):
    for number in range(4, 7):
        Host.objects.create(name=f"h{number}", alive=True, counter=1)
    dead: list[str] = []

    def hear_the_other(*, host: str) -> None:
        dead.append(host)
        Host.objects.filter(name="h1").update(counter=2)

    events.on("host.dead", hear_the_other)
    liveness.observe(now_s=0)
    Host.objects.exclude(name__in=("h0", "h1")).update(counter=2)
    watch(from_s=10, to_s=CONFIG.host_dead_after_s + 20)
    assert dead == ["h0"]
    assert Host.objects.get(name="h1").alive


def test_of_a_host_that_another_observer_declared_dead_first_nothing_is_said_again(watched):
    for number in range(4, 7):
        Host.objects.create(name=f"h{number}", alive=True, counter=1)
    dead: list[str] = []

    def declare_the_other(*, host: str) -> None:
        dead.append(host)
        Host.objects.filter(name="h1").update(alive=False)

    events.on("host.dead", declare_the_other)
    liveness.observe(now_s=0)
    Host.objects.exclude(name__in=("h0", "h1")).update(counter=2)
    watch(from_s=10, to_s=CONFIG.host_dead_after_s + 20)
    assert dead == ["h0"]


def test_when_more_than_a_third_fall_silent_together_nobody_is_dead(watched):
    liveness.observe(now_s=0)
    Host.objects.filter(name="h0").update(counter=2)
    watch(from_s=10, to_s=CONFIG.host_dead_after_s + 20)
    assert Host.objects.filter(alive=False).count() == 0


def test_a_silence_that_nobody_could_watch_is_no_death_and_one_that_is_watched_is(watched):
    Host.objects.exclude(name="h0").delete()
    watch(from_s=0, to_s=20)
    back_s = 20 + 10 * CONFIG.host_dead_after_s
    for _ in range(3):  # those that an outage of the database held up
        liveness.observe(now_s=back_s)
    assert Host.objects.get().alive
    watch(from_s=back_s + 10, to_s=back_s + CONFIG.host_dead_after_s)
    assert not Host.objects.get().alive


def test_control_workers_share_one_watch_that_a_new_one_goes_on_with(watched):
    """As seen from five processes in turn, each of which looks for the first time."""
    Host.objects.exclude(name="h0").delete()
    for now_s in range(0, int(CONFIG.host_dead_after_s) + 1, 10):
        importlib.reload(liveness).observe(now_s=now_s)
    assert Host.objects.get().alive
    importlib.reload(liveness).observe(now_s=CONFIG.host_dead_after_s + 10)
    assert not Host.objects.get().alive


def test_a_host_that_cleaned_up_for_long_lives_when_it_says_so(watched):
    Host.objects.exclude(name="h0").delete()
    Host.objects.filter(name="h0").update(alive=False)
    watch(from_s=0, to_s=2 * CONFIG.host_dead_after_s)
    liveness.revive("h0")
    liveness.observe(now_s=2 * CONFIG.host_dead_after_s)
    assert Host.objects.get(name="h0").alive


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("sqlite" in CONFIG.database_url or not CONFIG.database_url, reason="SQLite locks no rows")
def test_a_host_whose_row_is_locked_keeps_no_look_waiting(watched):
    locked, look = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Host.objects.filter(name="h1").update(disabled_reason="held")
            locked.set()
            look.wait(20)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert locked.wait(20)
        began = time.monotonic()
        assert sorted(dict(liveness.observe(now_s=0))) == ["h0", "h2", "h3"]
        assert time.monotonic() - began < 10
    finally:
        look.set()
        thread.join()


def test_a_clock_that_is_set_back_or_forward_kills_nobody(watched):
    Host.objects.exclude(name="h0").delete()
    watch(from_s=7_200, to_s=7_220)
    watch(from_s=3_600, to_s=3_620)
    watch(from_s=9_000, to_s=9_010)
    assert Host.objects.get().alive
    assert Host.objects.get().silent_s == pytest.approx(10 + 10 + liveness.WATCHED_S)


def test_the_observers_clock_is_the_database_s(watched):
    liveness.observe()
    assert Host.objects.first().looked_at_s == pytest.approx(time.time(), abs=5)


@pytest.mark.parametrize("hosts", [10, 1_000])
def test_a_look_at_many_hosts_costs_as_many_statements_as_at_few(db, django_assert_num_queries, hosts):
    Host.objects.bulk_create(Host(name=f"n{number}", alive=True, counter=1) for number in range(hosts))
    with django_assert_num_queries(5):
        assert sorted(liveness.observe()) == sorted((f"n{number}", 1) for number in range(hosts))


def test_who_is_silent_is_sent_no_echo_and_who_is_heard_again_is(watched):
    liveness.observe(now_s=0)
    Host.objects.exclude(name="h0").update(counter=2)
    watch(from_s=10, to_s=CONFIG.host_dead_after_s + 10)
    Host.objects.exclude(name="h0").update(counter=3)
    sent = Host.objects.get(name="h0").echo_sent
    assert "h0" not in dict(liveness.observe(now_s=CONFIG.host_dead_after_s + 20))
    Host.objects.filter(name="h0").update(counter=2)
    assert dict(liveness.observe(now_s=CONFIG.host_dead_after_s + 30))["h0"] == sent + 1


def test_an_echo_counts_once_however_often_it_comes(watched):
    liveness.heard("h1", 3)
    liveness.heard("h1", 2)
    assert Host.objects.get(name="h1").echo_heard == 3


def test_deletes_go_on_without_a_dead_host(accepted):
    from django.db import transaction

    from workers import overtaking

    operation = accepted()
    Drive(operation.id).run()
    with transaction.atomic():
        removal = overtaking.accept_overtaking(
            kind="toy_delete",
            subject=("toy", operation.subject_id),
            project_id="p",
            user_id="u",
            params={},
            host="toyhost",
        )
    Host.objects.create(name="toyhost", alive=False)
    recovery.sweep()
    assert Drive(removal.id).run().state == "succeeded"
    assert toy.ENDED == ["done", "gone"]


def test_a_step_that_comes_by_the_queue_of_another_host_is_given_back(accepted, monkeypatch):
    operation = accepted()
    runner.run(operation.id, DO, 0)
    monkeypatch.setattr(PROCESS, "host", "elsewhere")
    assert runner.run(operation.id, DO, 1) is Outcome.STOP
    assert toy.WORLD == {}
    monkeypatch.setattr(PROCESS, "host", "toyhost")
    Operation.objects.update(run_after=0)
    assert runner.run(operation.id, DO, 1) is Outcome.NEXT


def test_a_baton_that_waited_too_long_is_not_picked_up(accepted, monkeypatch):
    operation = accepted()
    runner.run(operation.id, DO, 0)
    runner.run(operation.id, DO, 1)
    monkeypatch.setattr(process, "BATON_S", -1.0)
    assert runner.run(operation.id, DO, 3) is Outcome.STOP
    PROCESS.drop_lost_batons()
    assert Operation.objects.get().lease_token is None


def test_one_operation_that_cannot_be_moved_on_does_not_hold_up_the_others(accepted):
    broken, other = accepted(), accepted()
    Operation.objects.filter(id=broken.id).update(params=["no mapping"], cursor=3, deadline=1)
    Operation.objects.filter(id=other.id).update(deadline=1)
    recovery.sweep()
    assert Operation.objects.get(id=broken.id).state == "pending"
    assert Operation.objects.get(id=other.id).state == "undoing"


def test_a_removal_that_goes_on_without_its_host_while_it_waits_for_its_turn_keeps_all_its_time(accepted):
    operation = accepted()
    Drive(operation.id).run()
    removal = overtake(operation)
    accepted_at = time.time() - 200
    rows = Operation.objects.filter(id=removal.id)
    rows.update(admitted=False, dispatched_at=accepted_at, deadline=accepted_at + 60)
    lost_hosts.let_go(rows.get())
    assert rows.get().host is None
    assert admission.admit_next() == removal.id
    assert 55 < rows.get().deadline - time.time() <= 60
    assert Drive(removal.id).run().state == "succeeded"


def test_what_is_rung_for_now_and_then_holds_up_nothing_that_was_lost_just_now(accepted, monkeypatch):
    empty_queue()
    monkeypatch.setattr(recovery, "BATCH", 2)
    lost, *waiting = [accepted() for _ in range(4)]
    empty_queue()
    now = time.time()
    Operation.objects.filter(id__in=[one.id for one in waiting]).update(dispatched_at=now - 40, rings=6)
    Operation.objects.filter(id=lost.id).update(dispatched_at=now - 4)
    recovery.sweep()
    assert {one.rings for one in Operation.objects.filter(id__in=[one.id for one in waiting])} == {6}
    assert Operation.objects.get(id=lost.id).rings == 1
