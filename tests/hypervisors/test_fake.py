"""What only the fake driver does: many nodes, planned faults, guests that act by themselves, a killed worker."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hypervisors.driver import CallFailed, GuestEvent, GuestSpec, HypervisorUnavailable, PowerState
from hypervisors.fake import FakeDriver
from hypervisors.faults import Fault, Moment
from hypervisors.registry import Options
from tests.hypervisors.conftest import HOST, make_spec, until
from tests.patience import patience

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def driver(fake_options: Options) -> FakeDriver:
    """Return a fake driver."""
    return FakeDriver(fake_options)


@pytest.fixture
def spec() -> GuestSpec:
    """Return a guest without an image."""
    return replace(make_spec(base=None), disks=())


def test_a_host_may_have_thousands_of_nodes(tmp_path: Path) -> None:
    nodes = FakeDriver(Options(state_dir=tmp_path, host_name=HOST, fake_nodes=5_000)).nodes()
    assert len({node.uuid for node in nodes}) == len({node.name for node in nodes}) == 5_000
    assert nodes[0].name == HOST
    assert nodes[-1].name == f"{HOST}-4999"


def test_a_node_does_not_see_the_guests_of_another(driver: FakeDriver, spec: GuestSpec) -> None:
    driver.start(f"{HOST}-1", spec)
    assert driver.guests(HOST) == ()
    assert driver.guest(f"{HOST}-1", spec.uuid) is not None


_WORKER = """
import sys
from pathlib import Path
from uuid import UUID
from hypervisors.driver import Disk, GuestSpec
from hypervisors.fake import FakeDriver
from hypervisors.registry import Options
driver = FakeDriver(Options(state_dir=Path(sys.argv[1]), host_name="host-a"))
for number in range(1, 100_000):
    spec = GuestSpec(UUID(int=number), number, f"g{number}", "g", "p", 1, 64, (Disk("root", 1),))
    driver.create_disks("host-a", spec)
    driver.start("host-a", spec)
    print(number, flush=True)
"""


def test_what_a_call_did_survives_that_its_worker_is_killed(fake_options: Options) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(fake_options.state_dir)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert worker.stdout is not None
    for _ in range(200):
        worker.stdout.readline()
    os.kill(worker.pid, signal.SIGKILL)
    done = 200 + len(worker.stdout.readlines())
    worker.wait()
    guests = FakeDriver(fake_options).guests(HOST)
    assert len(guests) - done in (0, 1)  # the last one was started, but not told
    assert all(guest.power_state is PowerState.RUNNING and guest.epoch == guest.uuid.int for guest in guests)


def test_another_process_sees_at_once_what_was_done(
    driver: FakeDriver, fake_options: Options, spec: GuestSpec
) -> None:
    onlooker = FakeDriver(fake_options)
    assert onlooker.guests(HOST) == ()
    driver.start(HOST, spec)
    assert [guest.uuid for guest in onlooker.guests(HOST)] == [spec.uuid]


def test_the_config_drive_can_be_read_back(driver: FakeDriver, spec: GuestSpec) -> None:
    driver.create_disks(HOST, spec)
    assert driver.config_drive(HOST, spec.uuid) == spec.config_drive
    driver.remove_disks(HOST, spec.uuid, 1)
    assert driver.config_drive(HOST, spec.uuid) is None


def test_a_fault_before_the_effect_leaves_nothing(driver: FakeDriver, spec: GuestSpec) -> None:
    fault = driver.faults.plant(Fault(call="start", error=CallFailed("no memory", retryable=True)))
    with pytest.raises(CallFailed, match="no memory"):
        driver.start(HOST, spec)
    assert driver.guest(HOST, spec.uuid) is None
    assert driver.faults.fired == [fault]
    driver.start(HOST, spec)
    assert driver.guest(HOST, spec.uuid) is not None


def test_a_fault_after_the_effect_leaves_it(driver: FakeDriver, spec: GuestSpec) -> None:
    driver.faults.plant(Fault(call="start", when=Moment.AFTER, error=HypervisorUnavailable("gone")))
    with pytest.raises(HypervisorUnavailable):
        driver.start(HOST, spec)
    assert driver.guest(HOST, spec.uuid) is not None


def test_a_fault_instead_of_the_effect_reports_success(driver: FakeDriver, spec: GuestSpec) -> None:
    driver.start(HOST, spec)
    driver.faults.plant(Fault(call="request_shutdown", when=Moment.INSTEAD))
    driver.request_shutdown(HOST, spec.uuid, 1)
    facts = driver.guest(HOST, spec.uuid)
    assert facts is not None
    assert facts.power_state is PowerState.RUNNING


def test_a_fault_strikes_the_nth_call_of_its_node_once(driver: FakeDriver, spec: GuestSpec) -> None:
    fault = driver.faults.plant(Fault(call="guest", nth=2, node=f"{HOST}-1", error=CallFailed("x")))
    driver.guest(HOST, spec.uuid)
    driver.guest(HOST, spec.uuid)
    driver.guest(f"{HOST}-1", spec.uuid)
    assert driver.faults.fired == []
    with pytest.raises(CallFailed):
        driver.guest(f"{HOST}-1", spec.uuid)
    driver.guest(f"{HOST}-1", spec.uuid)
    assert driver.faults.fired == [fault]


def test_cleared_faults_do_not_strike(driver: FakeDriver) -> None:
    driver.faults.plant(Fault(call="nodes", error=CallFailed("x")))
    driver.faults.clear()
    assert driver.nodes()


def test_calls_take_as_long_as_they_are_told_to(tmp_path: Path, spec: GuestSpec) -> None:
    driver = FakeDriver(Options(state_dir=tmp_path, host_name=HOST, fake_delay_s=0.05))
    driver.faults.plant(Fault(call="start", delay_s=0.1))
    began = time.monotonic()
    driver.start(HOST, spec)
    assert time.monotonic() - began >= 0.15


def test_a_guest_that_stops_by_itself_is_told_of(driver: FakeDriver, spec: GuestSpec) -> None:
    told: list[GuestEvent] = []
    driver.listen(told.append)
    driver.start(HOST, spec)
    driver.guest_stops(HOST, spec.uuid)
    driver.power_on(HOST, spec.uuid, 1)
    driver.guest_stops(HOST, spec.uuid, state=PowerState.CRASHED)
    until(lambda: len(told) == 4)
    states = [event.power_state for event in told]
    assert states == [PowerState.RUNNING, PowerState.SHUTDOWN, PowerState.RUNNING, PowerState.CRASHED]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_fails_loses_its_event_and_no_other(driver: FakeDriver, spec: GuestSpec) -> None:
    told: list[GuestEvent] = []

    def listen(event: GuestEvent) -> None:
        told.append(event)
        raise ValueError("a listener's own mistake")

    driver.listen(listen)
    driver.start(HOST, spec)
    driver.power_off(HOST, spec.uuid, 1)
    until(lambda: len(told) == 2)


def test_the_console_keeps_only_its_end(driver: FakeDriver, spec: GuestSpec) -> None:
    driver.start(HOST, spec)
    for _ in range(20):
        driver.guest_writes(HOST, spec.uuid, b"x" * 10_000)
    assert driver.console_output(HOST, spec.uuid, 10**9) == b"x" * 65_536


def test_a_start_costs_well_under_a_third_of_a_millisecond(driver: FakeDriver) -> None:
    specs = [replace(make_spec(base=None), disks=()) for _ in range(500)]
    driver.nodes()
    began = time.process_time()
    for spec in specs:
        driver.start(HOST, spec)
    assert (time.process_time() - began) / len(specs) < 0.0003 * patience()
