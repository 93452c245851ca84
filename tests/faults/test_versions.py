"""Going back to an older version while an operation that only the newer one knows is under way."""

from tests.faults.world import World, counts
from workers import clock, forsaken, recovery
from workers.models import Operation
from workers.testing import Drive


def test_a_server_whose_operation_no_worker_knows_shows_why_and_can_be_deleted(world: World):
    instance = world.active()
    operation = world.accept("stop", instance)
    late = clock.now() - forsaken.LATE_S - 1
    Operation.objects.filter(id=operation.id).update(kind="evacuate", deadline=late)
    recovery.sweep()
    instance.refresh_from_db()
    assert (instance.vm_state, instance.task_state) == ("error", None)
    assert instance.fault["message"].startswith("no worker knows what evacuate is")
    assert Drive(world.accept("delete", instance).id).run().state == "succeeded"
    assert {name: count for name, count in counts().items() if count} == {}


def test_a_delete_that_overtakes_such_an_operation_keeps_its_end(world: World):
    instance = world.active()
    operation = world.accept("stop", instance)
    late = clock.now() - forsaken.LATE_S - 1
    Operation.objects.filter(id=operation.id).update(kind="evacuate", deadline=late)
    removal = world.accept("delete", instance)
    recovery.sweep()
    instance.refresh_from_db()
    assert instance.task_state == "deleting"
    assert Drive(removal.id).run().state == "succeeded"
