"""Every registered workflow under every fault at every step: the matrix is made from the registry itself."""

from uuid import UUID

import pytest

from hypervisors import faults
from hypervisors.driver import CallFailed, PowerState
from hypervisors.fake import FakeDriver
from hypervisors.faults import Moment
from tests.faults import record
from tests.faults.world import World, counts
from workers import cancel, invariants, workflow
from workers.driver import driver
from workers.models import Operation
from workers.testing import Crash, Delivery, Drive, Fault, cancelled, crash, failure, matrix
from workers.workflow import Effect

ALWAYS = 99
AND_UNDONE = ", and undone"
SUCCEEDS = {"crash", "retryable", "unknown error"}
ENDLESS = {"unknown error always", "poison", "poison in undo", "undo raises always"}
LEAVES = {"poison in undo", "undo raises always"}
# The driver's calls that change a guest, as each step of each form makes them once.
EFFECTS = {
    "create": {"disks": ["create_disks"], "start": ["start"]},
    "delete": {"clear": ["destroy", "remove_disks"]},
    "start": {"power_on": ["power_on"]},
    "stop": {"ask": ["request_shutdown"]},
    "reboot": {"ask": ["request_shutdown"], "power_on": ["power_on"]},
    "reboot_hard": {"reset": ["reboot"]},
}
CALLS = [
    (form, step, call) for form, steps in EFFECTS.items() for step, calls in steps.items() for call in calls
]
KINDS = ("create", "delete", "start", "stop", "reboot", "reboot_hard")  # reboot has two forms
CASES = [case for case in matrix() if not case[0].startswith("toy")]
ENDS = {"create": "ACTIVE", "start": "ACTIVE", "stop": "SHUTOFF", "reboot": "ACTIVE", "reboot_hard": "ACTIVE"}


NAMES = {
    "retryable": "retryable error",
    "permanent": "permanent error",
    "undo raises once": "undo raises once,",
    "undo raises always": "undo raises always,",
    "poison": "worker dies each time",
    "poison in undo": "worker dies each time in undo",
    "cancel in undo": "cancel",
}


def hypervisor() -> FakeDriver:
    """Return the driver of the world, which counts its effects."""
    found = driver()
    assert isinstance(found, FakeDriver)
    return found


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
            if len(steps_of(kind)) > 1 or not fault.startswith(Delivery.REVERSED):
                listed.append((kind, fault, point))
            continue
        if ".reset." not in point and not point.endswith(".accepted"):
            listed.append(("reboot", fault, point))
        if fault.startswith(Delivery.REVERSED):
            continue  # a hard reboot has one link, which comes in no other order
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


def last_of(point: str, form: str) -> str:
    """Return the point at which the last step of a form can still fail."""
    return f"{point.split('.', 1)[0]}.{steps_of(form)[-1]}.done"


def aimed(form: str, fault: str, point: str) -> list[Fault]:
    """Return the faults of a case; what strikes an undo has a failure before it."""
    kind = "reboot" if form == "reboot_hard" else form
    trigger = failure(last_of(kind, form), retryable=False)
    once = {
        "crash": lambda: [crash(point)],
        "poison": lambda: [crash(point, times=ALWAYS)],
        "retryable": lambda: [failure(point, retryable=True)],
        "permanent": lambda: [failure(point, retryable=False)],
        "unknown error": lambda: [Fault(point, ZeroDivisionError("unforeseen"))],
        "unknown error always": lambda: [Fault(point, ZeroDivisionError("unforeseen"), times=ALWAYS)],
        "crash in undo": lambda: [trigger, crash(point)],
        "poison in undo": lambda: [trigger, crash(point, times=ALWAYS)],
        "undo raises once": lambda: [trigger, failure(point, retryable=True)],
        "undo raises always": lambda: [trigger, failure(point, retryable=False, times=ALWAYS)],
    }
    if fault.endswith(AND_UNDONE):
        return [trigger]
    return once[fault]() if fault in once else []


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


def cancelled_in_undo(kind: str, operation: Operation, point: str) -> Operation:
    """Cancel the operation at a point of its undo: it ends there, with both reasons, and begins nothing anew."""
    form = "reboot" if kind == "reboot_hard" else kind
    trigger = failure(last_of(form, kind), retryable=False)
    aim = cancelled(point)
    ended = Drive(operation.id, [trigger, aim]).run()
    assert (trigger.fired, aim.fired) == (1, 1)
    assert (ended.state, ended.round) == ("cancelled", 1)
    assert ended.error == f"made to fail at {trigger.point}; cancelled by a test"
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
    stood = violations() if fault in LEAVES or kind == "delete" else []
    instance, operation, before = begin(world, kind)
    hypervisor().effects.clear()
    faults: list[Fault] = []
    if fault == "cancel":
        ended = cancelled_at(kind, operation, point)
        assert ended.state == ("succeeded" if is_too_late(kind, point) else "cancelled")
        assert ended.error == ("" if ended.state == "succeeded" else "cancelled by a test")
        assert ended.round == 1
    elif fault == "cancel in undo":
        ended = cancelled_in_undo(kind, operation, point)
    elif fault == "overtaken by a delete":
        ended = overtaken_at(world, instance, kind, operation, point)
        assert ended.state == "succeeded"
    else:
        faults = aimed(kind, fault, point)
        delivery = Delivery(fault.removesuffix(AND_UNDONE)) if not point else Delivery.ONCE
        drive = Drive(operation.id, faults, delivery, out_of_time_after=60)
        ended = drive.run()
        assert [one.point for one in faults if not one.fired] == []
        assert (drive.repeats > 0) == (not point)
        judge(kind, fault, point, ended)
    if fault in LEAVES or (kind == "delete" and ended.state == "failed"):
        left_for_delete(world, kind, instance, stood)
    else:
        check_end("delete" if fault == "overtaken by a delete" else kind, instance, ended, before)
    record.note(row(kind, fault, point, ended), fired=all(one.fired for one in faults))


def judge(form: str, fault: str, point: str, ended: Operation) -> None:
    """Say how an operation must have ended, and how often each effect must have happened."""
    succeeds = fault in SUCCEEDS or (not point and not fault.endswith(AND_UNDONE))
    if form == "delete" and fault == "permanent":
        succeeds = True  # a delete tries again whatever it is told
    if succeeds:
        assert ended.state == "succeeded", ended.error
        check_effects(form, at_least=fault in ("crash", "retryable", "unknown error", "permanent"))
    elif form == "create" and fault not in ENDLESS and ".place." not in point:
        assert ended.state == "succeeded"
        assert ended.round == 2
    else:
        assert ended.state == "failed"
    if fault in ("poison", "poison in undo"):
        assert "lost its worker 5 times; not tried again" in ended.error
    if fault == "undo raises always":
        assert "undo of" in ended.error
    if fault == "unknown error always":
        assert "ZeroDivisionError" in ended.error or "not finished within" in ended.error


def check_effects(form: str, *, at_least: bool) -> None:
    """See that each step's effect happened as often as its declared kind says: once, or at least once where it may."""
    flow = workflow.get("reboot" if form == "reboot_hard" else form)
    may_repeat = {step.name for step in flow.steps if step.effect is Effect.AT_LEAST_ONCE}
    for step, calls in EFFECTS[form].items():
        for call in calls:
            happened = hypervisor().effects[call]
            assert happened == 1 or (at_least and step in may_repeat and happened > 1), (call, happened)
    assert set(hypervisor().effects) == {call for calls in EFFECTS[form].values() for call in calls}


def overtaken_at(world: World, instance, kind: str, operation: Operation, point: str) -> Operation:
    """Delete the server at a point, done or undone; every message of before comes again, and nothing comes of it."""
    removals: list[Operation] = []

    def delete_now(_: object) -> None:
        removals.append(world.accept("delete", instance))

    faults = [Fault(point, act=delete_now)]
    if ".undo-" in point:
        faults.insert(0, failure(last_of(point, kind), retryable=False))
    drive = Drive(operation.id, faults, Delivery.LATE)
    drive.run()
    assert [fault.fired for fault in faults] == [1] * len(faults)
    assert {removal.kind for removal in removals} == {"delete"}
    ended = Drive(removals[0].id, delivery=Delivery.LATE).run()
    drive.replay()
    assert Operation.objects.filter(kind="delete").count() == 1
    return ended


def violations() -> list[str]:
    """Return what doctor finds, but for the queues: no broker's messages are read here, the harness stands for it."""
    found = [one.what for each in invariants.violations().values() for one in each]
    return [what for what in found if not what.startswith("nobody reads queue")]


def left_for_delete(world: World, kind: str, instance, stood: list[str]) -> None:
    """See that what an undo could not remove is noted and shown, blocks nobody, and goes with a delete."""
    instance.refresh_from_db()
    after = counts()
    assert instance.task_state is None
    if kind in ("create", "delete"):
        assert (instance.vm_state, bool(instance.fault["message"])) == ("error", True)
    assert after["locks"] == after["secrets"] == after["leases"] == after["active"] == 0
    assert after["footprints"] >= after["guests"] + after["disks"]
    assert violations() == stood
    other, booting = world.boot()
    assert Drive(booting.id).run().state == "succeeded"
    for server in (other, instance):
        assert Drive(world.accept("delete", server).id).run().state == "succeeded"
    left = counts()
    assert {name: left[name] for name in left if left[name]} == {}


def row(kind: str, fault: str, point: str, ended: Operation) -> record.Row:
    """Return what the matrix says of a case; a boot that was undone and placed again succeeds."""
    step = (
        point.split(".")[1].replace("undo-", "undo of ").replace("accepted", "none yet") if point else "all"
    )
    named = record.at(NAMES.get(fault, fault), point) if point else fault
    outcome = "undone" if ended.state == "failed" else ended.state
    return record.Row("in process", kind.replace("_", " "), step, named, outcome)


@pytest.mark.parametrize(("form", "step", "call"), CALLS, ids=lambda value: value)
@pytest.mark.parametrize("when", [Moment.BEFORE, Moment.AFTER], ids=lambda when: when.value)
@pytest.mark.parametrize("what", ["crash", "retryable error", "permanent error", "unknown error"])
def test_a_fault_inside_a_driver_call_half_way_through_a_step(
    world: World, form: str, step: str, call: str, when: Moment, what: str
):
    instance, operation, before = begin(world, form)
    hypervisor().effects.clear()
    errors = {
        "crash": Crash(),
        "retryable error": CallFailed("made to fail", retryable=True),
        "permanent error": CallFailed("made to fail"),
        "unknown error": ZeroDivisionError("unforeseen"),
    }
    strike = faults.Fault(call=call, when=when, error=errors[what])
    kind = "reboot" if form == "reboot_hard" else form
    aim = Fault(f"{kind}.{step}.taken", act=lambda _: hypervisor().faults.plant(strike))
    ended = Drive(operation.id, [aim]).run()
    assert strike in hypervisor().faults.fired
    if what != "permanent error" or form == "delete":
        assert ended.state == "succeeded", ended.error
        check_effects(form, at_least=True)
    else:
        assert (ended.state, ended.round) == (("succeeded", 2) if form == "create" else ("failed", 1))
    check_end(form, instance, ended, before)
    moment = "at the start of" if when is Moment.BEFORE else "at the end of"
    outcome = "undone" if ended.state == "failed" else ended.state
    noted = record.Row("in process", form.replace("_", " "), step, f"{what} {moment} `{call}`", outcome)
    record.note(noted, fired=bool(aim.fired))


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
