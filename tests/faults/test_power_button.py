"""A guest that does not hear its power button at first: it is pressed again, and at last the guest is switched off."""

import pytest

from hypervisors.driver import PowerState
from hypervisors.fake import FakeDriver
from hypervisors.faults import Fault, Moment
from instances.models import Instance
from instances.workflows import deadlines, power
from tests.faults.world import World
from workers.driver import driver
from workers.testing import Drive


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
