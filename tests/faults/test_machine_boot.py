"""A machine that was started again: the guests that ran are started by ordinary operations, or shown to be off."""

import pytest

from computecloud.config import CONFIG
from hypervisors.driver import HypervisorUnavailable, PowerState
from hypervisors.fake import FakeDriver
from hypervisors.faults import Fault
from instances import on_host
from tests.faults.world import World
from workers import audits, clock
from workers.driver import driver
from workers.host import HostWorker
from workers.models import Host, Operation
from workers.testing import Drive


@pytest.fixture
def hypervisor() -> FakeDriver:
    found = driver()
    assert isinstance(found, FakeDriver)
    return found


def start_machine_again(
    hypervisor: FakeDriver,
    monkeypatch: pytest.MonkeyPatch,
    *,
    resume: bool = True,
    state: PowerState = PowerState.SHUTDOWN,
) -> None:
    """Have all guests that run be in this state, and a worker take the host in another run of the machine."""
    worker = HostWorker(CONFIG.host)
    worker._note_boot(Host.objects.get(name=CONFIG.host))
    for node in hypervisor.nodes():
        for guest in hypervisor.guests(node.name):
            if guest.power_state is not PowerState.SUSPENDED:
                hypervisor.guest_stops(node.name, guest.uuid, state=state)
    monkeypatch.setattr(clock, "boot_id", lambda: "another run")
    monkeypatch.setattr(on_host, "CONFIG", type("Setting", (), {"resume_guests_on_host_boot": resume}))
    worker._note_boot(Host.objects.get(name=CONFIG.host))


def test_guests_that_ran_are_started_and_others_are_left_off(world: World, hypervisor, monkeypatch):
    ran, stopped = world.active(), world.active()
    assert Drive(world.accept("stop", stopped).id).run().state == "succeeded"
    start_machine_again(hypervisor, monkeypatch)
    resumed = Operation.objects.get(kind="start")
    assert resumed.subject_id == ran.id
    assert Drive(resumed.id).run().state == "succeeded"
    ran.refresh_from_db()
    stopped.refresh_from_db()
    assert (ran.vm_state, stopped.vm_state) == ("active", "stopped")
    facts = hypervisor.guest(str(ran.node), ran.id)
    assert facts is not None
    assert facts.power_state is PowerState.RUNNING


def test_with_the_setting_off_they_are_shown_as_they_are(world: World, hypervisor, monkeypatch):
    ran = world.active()
    start_machine_again(hypervisor, monkeypatch, resume=False)
    ran.refresh_from_db()
    assert (ran.vm_state, ran.task_state, ran.power_state) == ("stopped", None, PowerState.SHUTDOWN)
    assert not Operation.objects.filter(kind="start").exists()


def test_guests_whose_memory_the_machine_kept_run_on_from_there(world: World, hypervisor, monkeypatch):
    ran = world.active()
    start_machine_again(hypervisor, monkeypatch, state=PowerState.SUSPENDED)
    assert not Operation.objects.filter(kind="start").exists()
    assert Drive(Operation.objects.get(kind="resume").id).run().state == "succeeded"
    ran.refresh_from_db()
    assert (ran.vm_state, ran.power_state) == ("active", PowerState.RUNNING)


def test_a_suspended_server_stays_so_and_can_be_resumed(world: World, hypervisor, monkeypatch):
    kept = world.active()
    assert Drive(world.accept("suspend", kept).id).run().state == "succeeded"
    start_machine_again(hypervisor, monkeypatch)
    audits.run("power", host=CONFIG.host, pause=lambda _: None)
    kept.refresh_from_db()
    assert (kept.vm_state, kept.task_state) == ("suspended", None)
    assert Drive(world.accept("resume", kept).id).run().state == "succeeded"


def test_a_paused_server_has_lost_its_memory_and_can_be_started(world: World, hypervisor, monkeypatch):
    paused = world.active()
    assert Drive(world.accept("pause", paused).id).run().state == "succeeded"
    start_machine_again(hypervisor, monkeypatch)
    audits.run("power", host=CONFIG.host, pause=lambda _: None)
    paused.refresh_from_db()
    assert (paused.vm_state, paused.power_state) == ("stopped", PowerState.SHUTDOWN)
    assert Drive(world.accept("start", paused).id).run().state == "succeeded"


def test_a_worker_that_is_started_again_on_a_machine_that_ran_on_starts_nothing(world: World, hypervisor):
    ran = world.active()
    worker = HostWorker(CONFIG.host)
    worker._note_boot(Host.objects.get(name=CONFIG.host))
    hypervisor.guest_stops(str(ran.node), ran.id)
    worker._note_boot(Host.objects.get(name=CONFIG.host))
    assert not Operation.objects.filter(kind="start").exists()


def test_a_hypervisor_that_does_not_answer_yet_is_asked_by_the_next_worker(
    world: World, hypervisor, monkeypatch
):
    world.active()
    silent = hypervisor.faults.plant(Fault(call="guest", error=HypervisorUnavailable("not yet")))
    start_machine_again(hypervisor, monkeypatch)
    assert silent in hypervisor.faults.fired
    assert not Operation.objects.filter(kind="start").exists()
    HostWorker(CONFIG.host)._note_boot(Host.objects.get(name=CONFIG.host))
    assert Operation.objects.filter(kind="start").count() == 1
