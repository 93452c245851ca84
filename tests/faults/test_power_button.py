"""A guest that does not hear its power button at first: it is pressed again, and at last the guest is switched off."""

from typing import Any

import pytest

from hypervisors.driver import PowerState
from hypervisors.fake import FakeDriver
from hypervisors.faults import Fault, Moment
from instances.models import Instance
from instances.workflows import deadlines, power
from tests.faults.world import World
from workers.driver import driver
from workers.testing import Drive, failure


@pytest.fixture
def hypervisor() -> FakeDriver:
    found = driver()
    assert isinstance(found, FakeDriver)
    return found


def test_a_guest_that_missed_the_first_press_hears_a_later_one(
    world: World, hypervisor: FakeDriver, monkeypatch: pytest.MonkeyPatch
):
    instance = world.active()
    missed = hypervisor.faults.plant(Fault(call="request_shutdown", when=Moment.INSTEAD))
    monkeypatch.setattr(power, "PRESS_AGAIN_S", 0.001)
    ended = Drive(world.accept("stop", instance).id).run()
    assert missed in hypervisor.faults.fired
    assert (ended.state, ended.results["await_off"]) == ("succeeded", {"by_itself": True})


def test_a_guest_that_hears_nothing_is_switched_off_when_its_time_is_up(
    world: World, hypervisor: FakeDriver, monkeypatch: pytest.MonkeyPatch
):
    instance = world.active()
    missed = hypervisor.faults.plant(Fault(call="request_shutdown", when=Moment.INSTEAD))
    monkeypatch.setattr(deadlines, "PATIENCE_S", 0.0)
    ended = Drive(world.accept("stop", instance).id).run()
    assert missed in hypervisor.faults.fired
    assert (ended.state, ended.results["await_off"]) == ("succeeded", {"by_itself": False})


@pytest.mark.parametrize("state", [PowerState.PAUSED, PowerState.SUSPENDED])
def test_a_guest_that_is_halted_hears_no_button_and_is_switched_off_at_once(
    world: World, hypervisor: FakeDriver, state: PowerState
):
    instance = world.active()
    Instance.objects.filter(id=instance.id).update(vm_state="error")
    hypervisor.guest_stops(str(instance.node), instance.id, state=state)
    hypervisor.effects.clear()
    ended = Drive(world.accept("stop", instance).id).run()
    assert (ended.state, ended.results["await_off"]) == ("succeeded", {"by_itself": False})
    assert hypervisor.effects["request_shutdown"] == 0
    facts = hypervisor.guest(str(instance.node), instance.id)
    assert facts is not None
    assert facts.power_state is PowerState.SHUTDOWN


@pytest.mark.parametrize("kind", ["pause", "suspend"])
def test_a_hard_reboot_of_a_server_that_is_halted_ends_active(
    world: World, hypervisor: FakeDriver, kind: str
):
    instance = world.active()
    assert Drive(world.accept(kind, instance).id).run().state == "succeeded"
    assert Drive(world.accept("reboot_hard", instance).id).run().state == "succeeded"
    instance.refresh_from_db()
    facts = hypervisor.guest(str(instance.node), instance.id)
    assert facts is not None
    assert (instance.vm_state, facts.power_state) == ("active", PowerState.RUNNING)


@pytest.mark.parametrize(
    ("kind", "back", "before"), [("suspend", "resume", None), ("resume", "suspend", "suspend")]
)
def test_a_memory_that_takes_long_to_be_carried_back_is_waited_for(
    world: World,
    hypervisor: FakeDriver,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    back: str,
    before: str | None,
):
    instance = world.active()
    if before:
        assert Drive(world.accept(before, instance).id).run().state == "succeeded"
    instance.refresh_from_db()
    stood, carry, looks = instance.vm_state, getattr(hypervisor, back), []

    def carry_slowly(*words: Any) -> str | None:
        looks.append(words)
        return "under way" if len(looks) < 12 else carry(*words)

    operation = world.accept(kind, instance)
    step = {"suspend": "save", "resume": "restore"}[kind]
    monkeypatch.setattr(hypervisor, back, carry_slowly)
    ended = Drive(operation.id, [failure(f"{kind}.{step}.done", retryable=False)]).run()
    assert (ended.state, len(looks)) == ("failed", 12)
    assert "undo" not in ended.error
    instance.refresh_from_db()
    assert (instance.vm_state, instance.task_state) == (stood, None)
    facts = hypervisor.guest(str(instance.node), instance.id)
    assert facts is not None
    assert facts.power_state is (PowerState.SUSPENDED if before else PowerState.RUNNING)
