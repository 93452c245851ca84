"""A host that is cut off, given up on, and back: it acts on nothing of an older epoch and cleans up before all else."""

import itertools
import uuid
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

import networking.services
from hypervisors import registry
from hypervisors.driver import CallOverran
from instances import on_host
from instances.models import Instance
from networking.models import Port
from scheduling.models import Allocation, Inventory
from tests.faults import record
from tests.faults import world as worlds
from tests.faults.two_hosts import TwoHosts
from tests.faults.world import World, counts
from workers import audits, liveness, lost_hosts, probes, recovery, runner
from workers.driver import driver
from workers.host import NotClean
from workers.ledger import DO
from workers.models import Finding, Footprint, Host, Operation, Subject, SubjectLock
from workers.outcome import Outcome
from workers.process import PROCESS
from workers.retry import StepFailed
from workers.route import Link
from workers.testing import Drive

STEPS = ("wire", "image", "disks", "start")


@pytest.fixture
def hosts(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoHosts]:
    two = TwoHosts("first", "second")
    driver.cache_clear()
    monkeypatch.setattr(registry, "load", lambda *_: two)
    yield two
    two.raze()
    driver.cache_clear()


@pytest.fixture
def world(hosts: TwoHosts) -> World:
    built = worlds.build("first")
    hosts.report()
    Host.objects.filter(name="second").update(enabled=False)  # so that the boot goes to the first
    return built


def cut_off(host: str) -> None:
    """Lose a host: its leases run out, the observer gives it up, and the sweeper goes by the workflows' word."""
    Operation.objects.filter(host=host).update(lease_until=1)
    Host.objects.filter(name=host).update(alive=False)
    Host.objects.exclude(name=host).update(enabled=True)
    recovery.sweep()
    recovery.sweep()


def come_back(hosts: TwoHosts, host: str) -> None:
    """Do what the worker's heartbeat does when it hears that its host was given up on."""
    with hosts.working_at(host):
        assert liveness.beat(host)
        on_host.clean_up(host)
        liveness.revive(host)


def lives_on_the_second_alone(hosts: TwoHosts, instance: Instance) -> None:
    instance.refresh_from_db()
    assert (instance.vm_state, instance.host) == ("active", "second")
    assert hosts.all_guests() == hosts.all_folders() == {"second": [instance.id]}
    assert set(Port.objects.filter(instance_id=instance.id).values_list("host", flat=True)) == {"second"}
    assert Allocation.objects.count() == 3
    taken = Inventory.objects.exclude(used=0).values_list("node__host__name", flat=True)
    assert set(taken) == {"second"}
    assert set(Footprint.objects.values_list("host", flat=True)) == {"second"}
    assert counts()["charges"] == counts()["ports"] == 1


def tell(step: str, point: str, fault: str, outcome: str) -> None:
    """Have the matrix show it."""
    row = record.Row("in process", "create", step, record.at(f"{fault},", f"create.{step}.{point}"), outcome)
    record.note(row, fired=True)


@pytest.mark.parametrize(("step", "point"), list(itertools.product(STEPS, ("taken", "done"))))
def test_a_boot_whose_host_is_cut_off_in_a_step_runs_elsewhere_and_once(
    world: World, hosts: TwoHosts, step: str, point: str
):
    instance, operation = world.boot()
    moved = []

    def lose_the_host(reached: str) -> None:
        if reached == f"create.{step}.{point}" and not moved:
            moved.append(hosts.at)
            cut_off("first")
            assert hosts.drive(operation.id).state == "succeeded"

    with probes.installed(lose_the_host):
        ended = hosts.drive(operation.id)
    assert moved == ["first"]
    assert (ended.state, ended.host, ended.round) == ("succeeded", "second", 2)
    # The first host's worker has gone on with its step by now, and was told that it may write nothing.
    kept = {"first": [instance.id]} if step == "start" else {}
    assert hosts.all_guests() == {**kept, "second": [instance.id]}
    left = set(Footprint.objects.filter(host="first").values_list("kind", flat=True))
    assert left >= {"port"}
    come_back(hosts, "first")
    assert Finding.objects.filter(audit="cleanup", what__contains="lives elsewhere").count() == 1
    lives_on_the_second_alone(hosts, instance)
    assert Host.objects.get(name="first").alive
    tell(step, point, "host cut off, given up on, and back", "moved")


@pytest.mark.parametrize(("step", "point"), list(itertools.product(STEPS, ("taken", "done"))))
def test_a_server_that_is_deleted_while_its_host_is_cut_off_leaves_nothing(
    world: World, hosts: TwoHosts, step: str, point: str
):
    instance, operation = world.boot()
    removals = []

    def lose_the_host_and_delete(reached: str) -> None:
        if reached == f"create.{step}.{point}" and not removals:
            cut_off("first")
            removals.append(world.accept("delete", instance))
            assert hosts.drive(removals[0].id).state == "succeeded"

    with probes.installed(lose_the_host_and_delete):
        hosts.drive(operation.id)
    assert len(removals) == 1
    come_back(hosts, "first")
    left = counts()
    assert {name: left[name] for name in left if left[name]} == {}
    assert hosts.all_guests() == hosts.all_folders() == {}
    tell(step, point, "host cut off, server deleted, host back", "cancelled")


def test_a_boot_that_fails_elsewhere_too_leaves_the_lost_hosts_list_to_that_host(
    world: World, hosts: TwoHosts
):
    _, operation = world.boot()
    with hosts.working_at("first"):
        for cursor in (0, 1, 2, 3):
            runner.run(operation.id, DO, cursor)
    cut_off("first")

    def fail(reached: str) -> None:
        if reached == "create.start.done":
            raise StepFailed("no luck here either")

    with probes.installed(fail):
        assert hosts.drive(operation.id).state == "failed"
    left = Footprint.objects.values_list("kind", "host")
    assert set(left) >= {("port", "first"), ("disks", "first")}
    assert {host for _, host in left} == {"first"}
    come_back(hosts, "first")
    assert not Footprint.objects.exists()
    assert hosts.all_guests() == hosts.all_folders() == {}


def test_a_look_that_is_out_of_date_gives_nothing_up(world: World, hosts: TwoHosts):
    instance, operation = world.boot()
    with hosts.working_at("first"):
        runner.run(operation.id, DO, 0)
        runner.run(operation.id, DO, 1)
    Operation.objects.update(lease_token=None)
    seen = Operation.objects.get(id=operation.id)
    Operation.objects.update(lease_token="t")
    lost_hosts.let_go(seen)
    after = Operation.objects.get(id=operation.id)
    assert (after.state, after.host, after.lease_token) == ("running", "first", "t")
    assert Subject.objects.get(id=instance.id).epoch == 1
    assert Port.objects.filter(instance_id=instance.id).count() == 1


def test_giving_up_is_one_transaction_and_raises_only_what_is_held_alone(
    world: World, hosts: TwoHosts, monkeypatch: pytest.MonkeyPatch
):
    instance, operation = world.boot()
    with hosts.working_at("first"):
        runner.run(operation.id, DO, 0)
    shared = Subject.objects.create(id=uuid.uuid4(), type="volume")
    SubjectLock.objects.create(operation=operation, subject=shared, epoch=1, exclusive=False)
    operation.refresh_from_db()
    with monkeypatch.context() as patch:
        patch.setattr(networking.services, "unbind", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lost_hosts.let_go(operation)
    assert Operation.objects.get(id=operation.id).state == "running"
    assert Subject.objects.get(id=instance.id).epoch == 1
    lost_hosts.let_go(operation)
    assert dict(Subject.objects.values_list("type", "epoch")) == {"instance": 2, "volume": 1}


def test_a_delete_that_has_ended_or_runs_is_not_given_up(world: World, hosts: TwoHosts):
    instance, operation = world.boot()
    hosts.drive(operation.id)
    removal = world.accept("delete", instance)
    for held in ({"lease_token": "t"}, {"lease_token": None, "state": "failed"}):
        Operation.objects.filter(id=removal.id).update(**held)
        lost_hosts.let_go(removal)
        assert Operation.objects.get(id=removal.id).host == "first"


def test_an_old_message_at_the_host_that_is_back_does_nothing(world: World, hosts: TwoHosts):
    instance, operation = world.boot()
    for cursor in (0, 1):
        with hosts.working_at("first"):
            runner.run(operation.id, DO, cursor)
    old = Link(DO, 3, "host.first")
    cut_off("first")
    ended = None
    with hosts.working_at("second"):
        for _ in range(3):
            Drive(operation.id).step()
            with hosts.working_at("first"):
                assert runner.run(operation.id, old.direction, old.cursor) is Outcome.STOP
    ended = hosts.drive(operation.id)
    assert ended.state == "succeeded"
    come_back(hosts, "first")
    lives_on_the_second_alone(hosts, instance)


def test_a_step_that_still_runs_is_waited_for_before_its_leftovers_go(world: World, hosts: TwoHosts):
    instance, operation = world.boot()
    hosts.drive(operation.id)
    Footprint.objects.create(
        subject_id=instance.id, operation_id=operation.id, step="disks", kind="disks", host="second", name="x"
    )
    with hosts.working_at("second"):
        assert PROCESS.lock(instance.id)
        with pytest.raises(NotClean, match="a step still runs"):
            on_host.clean_up("second")
        PROCESS.unlock(instance.id)
        on_host.clean_up("second")
    assert hosts.all_guests() == {"first": [instance.id]}


def test_the_epoch_rises_so_that_the_copy_which_was_given_up_can_not_be_acted_for(
    world: World, hosts: TwoHosts
):
    instance, operation = world.boot()
    before = Subject.objects.get(id=instance.id).epoch
    hosts.drive(operation.id)
    removal = world.accept("stop", instance)
    with hosts.working_at("first"):
        runner.run(removal.id, DO, 0)
    Operation.objects.update(lease_token=None)
    Operation.objects.filter(id=removal.id).update(deadline=1)
    cut_off("first")
    assert Subject.objects.get(id=instance.id).epoch == before + 1


@pytest.mark.parametrize("kind", ["start", "stop", "reboot", "reboot_hard"])
def test_a_power_action_on_a_host_that_is_down_ends_with_the_server_as_it_was(
    world: World, hosts: TwoHosts, kind: str
):
    instance, operation = world.boot()
    hosts.drive(operation.id)
    if kind == "start":
        hosts.drive(world.accept("stop", instance).id)
    instance.refresh_from_db()
    state = instance.vm_state
    action = world.accept(kind, instance)
    cut_off("first")
    action.refresh_from_db()
    waits = not kind.startswith("reboot")
    assert action.state == ("pending" if waits else "undoing")
    if waits:
        Operation.objects.filter(id=action.id).update(deadline=1)
        recovery.sweep()
        recovery.sweep()
    ended = hosts.drive(action.id)
    assert ended.state == "failed"
    assert "host first" in ended.error
    assert "is down" in ended.error
    instance.refresh_from_db()
    assert (instance.host, instance.task_state) == ("first", None)
    assert instance.vm_state == ("error" if kind == "reboot_hard" else state)
    come_back(hosts, "first")
    assert hosts.all_guests() == {"first": [instance.id]}


def test_a_power_action_goes_on_when_its_host_is_back_in_time(world: World, hosts: TwoHosts):
    instance, operation = world.boot()
    hosts.drive(operation.id)
    action = world.accept("stop", instance)
    cut_off("first")
    come_back(hosts, "first")
    assert hosts.drive(action.id).state == "succeeded"


def test_what_a_stale_copy_does_says_nothing_of_the_server(world: World, hosts: TwoHosts):
    instance, operation = world.boot()
    hosts.drive(operation.id)
    instance.refresh_from_db()
    on_host.follow_power(node="second", uuid=instance.id, power_state=on_host.PowerState.SHUTDOWN)
    instance.refresh_from_db()
    assert instance.vm_state == "active"


def test_a_delete_that_was_accepted_while_the_host_was_down_and_is_carried_out_later_leaves_nothing(
    world: World, hosts: TwoHosts, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks
):
    asked = []
    monkeypatch.setattr(audits, "ask", lambda name, **how: asked.append((name, how["host"])))
    instance, operation = world.boot()
    hosts.drive(operation.id)
    cut_off("first")
    removal = world.accept("delete", instance)
    assert removal.host is None
    come_back(hosts, "first")
    with django_capture_on_commit_callbacks(execute=True):
        assert hosts.drive(removal.id).state == "succeeded"
    assert asked == [("guests", "first")]
    with hosts.working_at("first"):
        audits.run("guests", host="first", pause=lambda _: None)
    assert not Footprint.objects.exists()
    assert hosts.all_guests() == hosts.all_folders() == {}


def test_a_boot_that_has_left_a_host_is_none_of_that_host_s_from_then_on(world: World, hosts: TwoHosts):
    instance, operation = world.boot()
    with hosts.working_at("first"):
        for cursor in (0, 1, 2, 3):
            runner.run(operation.id, DO, cursor)
    cut_off("first")
    come_back(hosts, "first")
    assert hosts.all_folders() == {}
    Host.objects.filter(name="first").update(enabled=False)
    assert hosts.drive(operation.id).host == "second"
    lives_on_the_second_alone(hosts, instance)


def test_a_clean_up_whose_call_has_not_returned_keeps_the_subject_locked_until_it_has(
    world: World, hosts: TwoHosts, monkeypatch: pytest.MonkeyPatch
):
    instance, operation = world.boot()
    hosts.drive(operation.id)
    Footprint.objects.create(
        subject_id=instance.id, operation_id=operation.id, step="disks", kind="disks", host="second", name="x"
    )
    pending: Future[None] = Future()

    def overrun(*_: object) -> None:
        raise CallOverran("slow", pending)

    with hosts.working_at("second"):
        with monkeypatch.context() as patch:
            patch.setattr(hosts.drivers["second"], "destroy", overrun)
            with pytest.raises(CallOverran):
                on_host.clean_up("second")
        with pytest.raises(NotClean):
            on_host.clean_up("second")
        pending.set_result(None)
        on_host.clean_up("second")
    assert not Footprint.objects.filter(host="second").exists()
