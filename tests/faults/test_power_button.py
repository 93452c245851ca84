"""A guest that does not hear its power button at first: it is pressed again, and at last the guest is switched off."""

import pytest

from hypervisors.fake import FakeDriver
from hypervisors.faults import Fault, Moment
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
