"""Every registered workflow under every fault at every step: the matrix is made from the registry itself."""

from uuid import UUID

import pytest

from hypervisors.driver import PowerState
from tests.faults import record
from tests.faults.world import World, counts
from workers import cancel, probes, workflow
from workers.driver import driver
from workers.models import Operation
from workers.testing import Drive, Fault, crash, failure, matrix

KINDS = ("create", "delete", "start", "stop", "reboot", "reboot_hard")  # reboot has two forms
CASES = [case for case in matrix() if not case[0].startswith("toy")]
ENDS = {"create": "ACTIVE", "start": "ACTIVE", "stop": "SHUTOFF", "reboot": "ACTIVE", "reboot_hard": "ACTIVE"}


NAMES = {
    "retryable": "retryable error",
    "permanent": "permanent error",
    "undo raises once": "undo raises once,",
}


def steps_of(kind: str) -> list[str]:
    """Return the names of the steps that a request of this form has."""
    flow = workflow.get("reboot" if kind == "reboot_hard" else kind)
    hard = {"reboot": False, "reboot_hard": True}.get(kind)
    return [step.name for step in flow.steps if hard is None or (step.name == "reset") == hard]


def forms() -> list[tuple[str, str, str]]:
    """Give each case the kinds of request that reach its point: a hard reboot resets, a soft one asks."""
    listed = []
    for kind, fault, point in CASES:
        if kind != "reboot":
            listed.append((kind, fault, point))
            continue
        if ".reset." not in point and not point.endswith(".accepted"):
            listed.append(("reboot", fault, point))
        if ".reset." in point or not point or point.endswith(".accepted"):
            listed.append(("reboot_hard", fault, point))
    return listed


def begin(world: World, kind: str):
    """Accept an operation of this kind; returns its server, the operation, and what stood before it."""
    if kind == "create":
        before = counts()
        return *world.boot(), before
    instance = world.active()
    if kind == "start":
        assert Drive(world.accept("stop", instance).id).run().state == "succeeded"
    before = counts()
    return instance, world.accept(kind, instance), before


def check_end(kind: str, instance, operation, before) -> None:
    """Whatever happened: the server's state is true, and nothing is there that should not be."""
    instance.refresh_from_db()
    after = counts()
    assert instance.task_state is None
    assert after["locks"] == after["secrets"] == after["leases"] == after["active"] == 0
    if kind == "create" and operation.state in ("failed", "cancelled"):
        assert instance.vm_state == "error"
        assert instance.fault["message"]
        held = {
            "charges",
            "charged",
            "subjects",
        }  # an ERROR server counts against the quota until it is deleted
        assert {name: after[name] for name in after if name not in held} == {
            name: before[name] for name in after if name not in held
        }
    elif kind == "create":
        assert instance.vm_state == "active"
        assert [
            after[name] - before[name] for name in ("guests", "disks", "ports", "allocations", "charges")
        ] == [1, 1, 1, 3, 1]
    elif kind == "delete":
        assert instance.vm_state == "deleted"
        assert all(
            after[name] == 0 for name in ("guests", "disks", "ports", "allocations", "claimed", "charges")
        )
        assert after["footprints"] == after["subjects"] == 0
    else:
        guest = driver().guest(str(instance.node), instance.id)
        runs = guest.power_state is PowerState.RUNNING
        assert instance.vm_state in ("error", "active" if runs else "stopped")
        stood = "stopped" if kind == "start" else "active"
        if operation.state == "cancelled":
            assert (instance.vm_state, instance.fault) == (stood, None)
        assert after["guests"] == after["charges"] == 1
        assert after["footprints"] == before["footprints"]


def aimed(fault: str, point: str) -> list[Fault]:
    kind = point.split(".", 1)[0]
    if fault == "crash":
        return [crash(point)]
    if fault in ("retryable", "permanent"):
        return [failure(point, retryable=fault == "retryable")]
    last = [step.name for step in workflow.get(kind).steps if step.name != "reset"][-1]
    trigger = failure(f"{kind}.{last}.done", retryable=False)
    second = crash(point) if fault == "crash in undo" else failure(point, retryable=True)
    return [trigger, second]


def cancelled_at(kind: str, operation: Operation, point: str) -> Operation:
    """Cancel the operation at a point and see it to its end; one that has ended by then refuses."""
    refused = []

    def try_it(operation_id: UUID) -> None:
        try:
            cancel.cancel(operation_id, by="a test")
        except cancel.CannotCancel as refusal:
            refused.append(refusal)

    if point.endswith(".accepted"):
        try_it(operation.id)
        return Drive(operation.id).run()
    fault = Fault(point, act=try_it)
    ended = Drive(operation.id, [fault]).run()
    assert fault.fired == 1
    assert bool(refused) == (point.endswith(f".{steps_of(kind)[-1]}.committed"))
    return ended


def is_too_late(kind: str, point: str) -> bool:
    """Tell whether the operation has ended, or its last step runs, at this point: its success wins."""
    *_, last = steps_of(kind)
    before_last = steps_of(kind)[-2:-1]
    _, step, moment = (*point.split("."), "")[:3]
    # A step on the same host hands its lease to the next in the commit that ends it.
    handed_on = moment == "committed" and [step] == before_last
    return step == last or handed_on


@pytest.mark.parametrize(("kind", "fault", "point"), forms(), ids=lambda value: value or "all")
def test_a_fault_leaves_nothing_behind_and_the_state_true(world: World, kind: str, fault: str, point: str):
    instance, operation, before = begin(world, kind)
    faults = aimed(fault, point) if point and fault != "cancel" else []
    if fault == "cancel":
        ended = cancelled_at(kind, operation, point)
        assert ended.state == ("succeeded" if is_too_late(kind, point) else "cancelled")
        assert ended.error == ("" if ended.state == "succeeded" else "cancelled by a test")
        assert ended.round == 1
    else:
        ended = Drive(operation.id, faults, twice=fault == "every link twice").run()
        assert [one.point for one in faults if not one.fired] == []
        if fault in ("crash", "retryable", "every link twice") or kind == "delete":
            assert ended.state == "succeeded", ended.error
        elif fault == "permanent":
            assert ended.state in ("failed", "succeeded")
    check_end(kind, instance, ended, before)
    record.note(row(kind, fault, point, ended), fired=all(one.fired for one in faults))


def row(kind: str, fault: str, point: str, ended: Operation) -> record.Row:
    """Return what the matrix says of a case; a boot that was undone and placed again succeeds."""
    step = (
        point.split(".")[1].replace("undo-", "undo of ").replace("accepted", "none yet") if point else "all"
    )
    named = record.at(NAMES.get(fault, fault), point) if point else fault
    outcome = "undone" if ended.state == "failed" else ended.state
    return record.Row("in process", kind.replace("_", " "), step, named, outcome)


@pytest.mark.parametrize(
    "point", [point for kind, fault, point in CASES if kind == "create" and fault == "crash"]
)
def test_a_delete_at_any_point_of_a_boot_leaves_nothing(world: World, point: str):
    before = counts()
    instance, operation = world.boot()
    removal = []

    def delete_now(reached: str) -> None:
        if reached == point and not removal:
            removal.append(world.accept("delete", instance))

    with probes.installed(delete_now):
        Drive(operation.id).run()
    assert removal
    ended = Drive(removal[0].id).run()
    assert ended.state == "succeeded"
    check_end("delete", instance, removal[0], before)
    record.note(row("create", "overtaken by a delete", point, ended), fired=True)


def test_a_boot_that_fails_on_one_node_is_placed_on_another(world: World):
    _, operation = world.boot()
    ended = Drive(operation.id, [failure("create.start.taken", retryable=False)]).run()
    assert (ended.state, ended.round) == ("succeeded", 2)


def test_a_flavor_too_big_for_every_host_is_an_error_that_says_why(world: World):
    world.flavor.ram = 10**9
    world.flavor.save()
    instance, operation = world.boot()
    assert Drive(operation.id).run().state == "failed"
    instance.refresh_from_db()
    assert (instance.vm_state, instance.host) == ("error", None)
    assert instance.fault["code"] == 500
    assert "4 without enough free processors, memory or disk" in instance.fault["message"]
    assert counts()["allocations"] == 0


@pytest.mark.parametrize("kind", [kind for kind in workflow.registered() if not kind.startswith("toy")])
def test_every_workflow_ends_within_a_minute_where_nodes_only_remember(kind: str):
    flow = workflow.get(kind)
    assert 0 < flow.forward_s({}) <= flow.total_s({}) <= 60
    assert flow.keeps_trying or flow.undo_s({}) >= 15


def test_every_workflow_has_a_form_in_this_matrix():
    assert {kind for kind in workflow.registered() if not kind.startswith("toy")} <= set(KINDS)
