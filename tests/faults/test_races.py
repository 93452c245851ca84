"""Races: two deletes, two schedulers on the last slot, too many boots for the room, one message in two threads."""

import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connections

from instances.models import Instance
from scheduling.models import MEMORY_MB, Allocation, Inventory
from tests.faults import record
from tests.faults import world as worlds
from tests.faults.world import World, counts
from workers import admission, runner, undoing
from workers.ledger import DO
from workers.models import ACTIVE, Operation, StepRun
from workers.outcome import Outcome
from workers.testing import Drive, Fault, failure


def leave_room(world: World, servers: int) -> None:
    """Let the nodes have memory for so many servers together, as evenly as it goes."""
    rows = list(Inventory.objects.filter(resource_class=MEMORY_MB).order_by("node__name"))
    for number, row in enumerate(rows):
        share = servers // len(rows) + (number < servers % len(rows))
        row.total, row.allocation_ratio = row.reserved + share * world.flavor.ram, 1.0
        row.save()


def room_is_exact(servers: int) -> None:
    """See that what is claimed is what the servers have, on every node."""
    assert Allocation.objects.filter(resource_class=MEMORY_MB).count() == servers
    claimed: Counter[tuple[object, str]] = Counter()
    for node, resource, amount in Allocation.objects.values_list("node_id", "resource_class", "amount"):
        claimed[node, resource] += amount
    for row in Inventory.objects.all():
        assert row.used == claimed[row.node_id, row.resource_class]
        assert row.used <= (row.total - row.reserved) * row.allocation_ratio


def drive_all() -> None:
    """Run everything that was accepted, each tenant's turn as it comes."""
    while operations := list(Operation.objects.filter(state__in=ACTIVE, admitted=True)):
        for operation in operations:
            Drive(operation.id).run()
        while admission.admit_next():
            pass


@pytest.mark.parametrize("moment", ["taken", "done"])
def test_two_schedulers_on_the_last_slot_place_one_server(world: World, moment: str):
    leave_room(world, 1)
    (first, slow), (second, fast) = world.boot(), world.boot()
    between = Fault(f"create.place.{moment}", act=lambda _: Drive(fast.id).run())
    ended = Drive(slow.id, [between]).run()
    assert between.fired == 1
    assert ended.state == "failed"
    states = dict(Instance.objects.values_list("id", "vm_state"))
    assert states == {first.id: "error", second.id: "active"}
    assert Instance.objects.get(id=first.id).fault["message"].startswith("No valid host was found.")
    room_is_exact(1)
    named = record.at("another takes the last slot", f"create.place.{moment}")
    record.note(record.Row("in process", "create", "place", named, "undone"), fired=between.fired == 1)


@pytest.mark.parametrize(("boots", "room"), [(500, 250)])
def test_of_more_boots_than_there_is_room_for_as_many_run_and_the_others_say_why(
    world: World, boots: int, room: int
):
    leave_room(world, room)
    for _ in range(boots // 20):
        world.boot(min_count=20, max_count=20)
    drive_all()
    states = Counter(Instance.objects.values_list("vm_state", flat=True))
    assert states == {"active": room, "error": boots - room}
    for fault in Instance.objects.filter(vm_state="error").values_list("fault", flat=True):
        assert fault["message"].startswith("No valid host was found.")
    room_is_exact(room)
    after = counts()
    assert (after["guests"], after["disks"], after["ports"]) == (room, room, room)
    assert (after["charges"], after["locks"], after["active"]) == (boots, 0, 0)
    outcome = f"{room} ACTIVE, {boots - room} explained"
    record.note(
        record.Row("in process", "create", "all", f"{boots} boots onto room for {room}", outcome), fired=True
    )


@pytest.mark.parametrize("kind", ["start", "stop", "reboot", "reboot_hard"])
def test_two_deletes_are_one_and_undo_nothing_that_the_first_removes(world: World, kind: str):
    instance = world.active()
    if kind == "start":
        Drive(world.accept("stop", instance).id).run()
    action = world.accept(kind, instance)
    first = world.accept("delete", instance)
    assert world.accept("delete", instance).id == first.id
    assert Drive(first.id).run().state == "succeeded"
    assert Drive(action.id).run().state == "cancelled"
    assert world.accept("delete", instance).id == first.id
    left = counts()
    assert {name: left[name] for name in left if left[name]} == {}


def test_a_stop_that_is_being_undone_starts_nothing_that_a_delete_removes(world: World):
    instance = world.active()
    stop = world.accept("stop", instance)
    removals = []
    overtake = Fault("stop.undo-ask.taken", act=lambda _: removals.append(world.accept("delete", instance)))
    Drive(stop.id, [failure("stop.await_off.done", retryable=False), overtake]).run()
    assert overtake.fired == 1
    assert Drive(removals[0].id).run().state == "succeeded"
    left = counts()
    assert {name: left[name] for name in left if left[name]} == {}


@pytest.mark.django_db(transaction=True)
def test_one_message_in_two_threads_at_once_runs_its_step_once():
    worlds.raze()
    world = worlds.build()
    _, operation = world.boot()
    barrier, outcomes = threading.Barrier(2), []

    def deliver() -> None:
        barrier.wait()
        outcomes.append(runner.run(operation.id, DO, 0))
        connections.close_all()

    threads = [threading.Thread(target=deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome.value for outcome in outcomes) == [Outcome.NEXT.value, Outcome.STOP.value]
    assert StepRun.objects.filter(operation=operation).count() == 1
    assert Drive(operation.id).run().state == "succeeded"
    worlds.raze()


def test_a_boot_that_is_deleted_as_its_undo_ends_gives_way_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    instance, operation = world.boot()
    finish, removals, outcomes = undoing.finish, [], []

    def deleted_first(*words: Any) -> Outcome:
        removals.append(world.accept("delete", instance))
        outcomes.append(finish(*words))
        return outcomes[-1]

    monkeypatch.setattr(undoing, "finish", deleted_first)
    ended = Drive(operation.id, [failure("create.start.done", retryable=False)]).run()
    assert (ended.state, ended.lease_token) == ("cancelled", None)
    assert outcomes == [Outcome.OVERTAKEN]
    assert Drive(removals[0].id).run().state == "succeeded"
    assert not any(counts().values())


@pytest.mark.django_db(transaction=True)
def test_a_delete_that_comes_while_the_undo_of_a_boot_ends_does_not_wait_in_a_ring(
    monkeypatch: pytest.MonkeyPatch,
):
    worlds.raze()
    world = worlds.build()
    instance, operation = world.boot()
    asked, removals = undoing._asked_again, []

    def remove() -> None:
        removals.append(world.accept("delete", instance))
        connections.close_all()

    deleting = threading.Thread(target=remove)

    def meanwhile(*words: Any) -> Any:
        deleting.start()
        deleting.join(timeout=1.0)
        return asked(*words)

    monkeypatch.setattr(undoing, "_asked_again", meanwhile)
    drive = Drive(operation.id, [failure("create.start.done", retryable=False)])
    while not deleting.ident:
        drive.step()
    deleting.join()
    monkeypatch.undo()
    assert Operation.objects.get(id=operation.id).state == "cancelled"
    assert Drive(removals[0].id).run().state == "succeeded"
    assert not any(counts().values())
