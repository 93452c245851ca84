"""What every driver does: each test runs on the fake driver and on libvirt."""

import dataclasses
from collections.abc import Callable
from itertools import groupby
from uuid import uuid4

import pytest

from hypervisors.driver import (
    CallFailed,
    Driver,
    DriverError,
    GuestEvent,
    GuestNotFound,
    GuestSpec,
    HypervisorUnavailable,
    PowerState,
    StaleEpoch,
)
from tests.hypervisors.conftest import HOST, until

Act = Callable[[Driver, GuestSpec], object]

ON_GUEST: dict[str, Act] = {
    "power_on": lambda driver, spec: driver.power_on(HOST, spec.uuid, spec.epoch),
    "request_shutdown": lambda driver, spec: driver.request_shutdown(HOST, spec.uuid, spec.epoch),
    "power_off": lambda driver, spec: driver.power_off(HOST, spec.uuid, spec.epoch),
    "reboot": lambda driver, spec: driver.reboot(HOST, spec.uuid, spec.epoch),
    "pause": lambda driver, spec: driver.pause(HOST, spec.uuid, spec.epoch),
    "suspend": lambda driver, spec: driver.suspend(HOST, spec.uuid, spec.epoch),
    "resume": lambda driver, spec: driver.resume(HOST, spec.uuid, spec.epoch),
}
CHANGING: dict[str, Act] = ON_GUEST | {
    "create_disks": lambda driver, spec: driver.create_disks(HOST, spec),
    "remove_disks": lambda driver, spec: driver.remove_disks(HOST, spec.uuid, spec.epoch),
    "start": lambda driver, spec: driver.start(HOST, spec),
    "destroy": lambda driver, spec: driver.destroy(HOST, spec.uuid, spec.epoch),
    "raise_epoch": lambda driver, spec: driver.raise_epoch(HOST, spec.uuid, spec.epoch),
}
READING: dict[str, Act] = {
    "guests": lambda driver, _: driver.guests(HOST),
    "guest": lambda driver, spec: driver.guest(HOST, spec.uuid),
    "console_output": lambda driver, spec: driver.console_output(HOST, spec.uuid, 10),
    "figures": lambda driver, spec: driver.figures(HOST, spec.uuid),
    "disk_folders": lambda driver, _: driver.disk_folders(HOST),
}


def on(acts: dict[str, Act]) -> pytest.MarkDecorator:
    """Run a test once for each call."""
    return pytest.mark.parametrize("act", acts.values(), ids=acts.keys())


def boot(driver: Driver, spec: GuestSpec) -> None:
    """Make disks and guest."""
    driver.create_disks(HOST, spec)
    driver.start(HOST, spec)


def power(driver: Driver, spec: GuestSpec) -> PowerState | None:
    """Return what the guest does, or None where it is not there."""
    facts = driver.guest(HOST, spec.uuid)
    return facts.power_state if facts else None


def at(spec: GuestSpec, epoch: int) -> GuestSpec:
    """Return the guest at another epoch."""
    return dataclasses.replace(spec, epoch=epoch)


def test_a_host_has_a_node_of_its_name_with_room_on_it(
    driver: Driver, open_driver: Callable[[], Driver]
) -> None:
    node = driver.nodes()[0]
    assert node.name == HOST
    assert min(node.vcpus, node.memory_mib, node.disk_gib, node.hypervisor_version) > 0
    assert {"COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW"} <= node.traits
    assert open_driver().nodes()[0].uuid == node.uuid


@on(CHANGING | READING)
def test_an_unknown_node_is_refused(driver: Driver, spec: GuestSpec, act: Act) -> None:
    class Elsewhere:
        def __getattr__(self, name: str) -> Callable[..., object]:
            return lambda _, *args: getattr(driver, name)("no-such-node", *args)

    with pytest.raises(DriverError, match="no node no-such-node"):
        act(Elsewhere(), spec)  # type: ignore[arg-type]


@on(CHANGING | READING)
def test_a_closed_driver_says_that_it_is_unavailable(driver: Driver, spec: GuestSpec, act: Act) -> None:
    driver.close()
    with pytest.raises(HypervisorUnavailable):
        act(driver, spec)


def test_a_started_guest_runs_with_its_name_and_epoch(driver: Driver, spec: GuestSpec) -> None:
    boot(driver, spec)
    facts = driver.guest(HOST, spec.uuid)
    assert facts is not None
    assert (facts.uuid, facts.name, facts.power_state, facts.epoch) == (
        spec.uuid,
        spec.name,
        PowerState.RUNNING,
        1,
    )
    assert facts in driver.guests(HOST)
    assert spec.uuid in driver.disk_folders(HOST)


def test_everything_done_twice_is_as_if_done_once(driver: Driver, spec: GuestSpec) -> None:
    boot(driver, spec)
    boot(driver, spec)
    assert [guest.uuid for guest in driver.guests(HOST)].count(spec.uuid) == 1
    for act, state in (
        ("power_on", PowerState.RUNNING),
        ("reboot", PowerState.RUNNING),
        ("raise_epoch", PowerState.RUNNING),
        ("pause", PowerState.PAUSED),
        ("resume", PowerState.RUNNING),
        ("suspend", PowerState.SUSPENDED),
        ("resume", PowerState.RUNNING),
        ("power_off", PowerState.SHUTDOWN),
        ("request_shutdown", PowerState.SHUTDOWN),
        ("destroy", None),
        ("remove_disks", None),
    ):
        for _ in range(2):
            CHANGING[act](driver, spec)
            assert power(driver, spec) is state, act
    assert driver.disk_folders(HOST) == ()
    assert driver.guests(HOST) == ()


def test_a_new_worker_finds_what_the_old_one_made(
    driver: Driver, open_driver: Callable[[], Driver], spec: GuestSpec
) -> None:
    boot(driver, spec)
    driver.close()
    successor = open_driver()
    assert power(successor, spec) is PowerState.RUNNING
    assert successor.disk_folders(HOST) == (spec.uuid,)
    successor.start(HOST, spec)
    assert power(successor, spec) is PowerState.RUNNING


@on(ON_GUEST)
def test_a_guest_that_is_not_there_cannot_be_switched(driver: Driver, spec: GuestSpec, act: Act) -> None:
    with pytest.raises(GuestNotFound):
        act(driver, spec)
    driver.create_disks(HOST, spec)
    with pytest.raises(GuestNotFound):
        act(driver, spec)


@pytest.mark.parametrize("call", ["destroy", "remove_disks", "raise_epoch"])
def test_what_is_not_there_is_removed_already(driver: Driver, spec: GuestSpec, call: str) -> None:
    CHANGING[call](driver, spec)
    assert driver.guest(HOST, spec.uuid) is None
    assert driver.disk_folders(HOST) == ()


def test_a_guest_that_is_off_is_started_again_by_power_on_and_by_reboot(
    driver: Driver, spec: GuestSpec
) -> None:
    boot(driver, spec)
    for act in (driver.power_on, driver.reboot):
        driver.power_off(HOST, spec.uuid, 1)
        assert power(driver, spec) is PowerState.SHUTDOWN
        act(HOST, spec.uuid, 1)
        assert power(driver, spec) is PowerState.RUNNING


def wait_for(act: Act, driver: Driver, spec: GuestSpec) -> None:
    """Do what may take a while: until it is done."""
    until(lambda: act(driver, spec) is None, within_s=60)


@pytest.mark.parametrize("halted_by", ["pause", "suspend"])
@pytest.mark.parametrize(
    ("act", "state"),
    [
        ("resume", PowerState.RUNNING),
        ("power_on", PowerState.RUNNING),
        ("reboot", PowerState.RUNNING),
        ("power_off", PowerState.SHUTDOWN),
        ("destroy", None),
    ],
)
def test_a_guest_that_is_halted_goes_on_boots_afresh_or_goes(
    driver: Driver, spec: GuestSpec, halted_by: str, act: str, state: PowerState | None
) -> None:
    boot(driver, spec)
    wait_for(CHANGING[halted_by], driver, spec)
    wait_for(CHANGING[act], driver, spec)
    assert power(driver, spec) is state


def test_a_paused_guest_may_be_suspended_and_runs_when_it_is_back(driver: Driver, spec: GuestSpec) -> None:
    boot(driver, spec)
    driver.pause(HOST, spec.uuid, 1)
    wait_for(CHANGING["suspend"], driver, spec)
    wait_for(CHANGING["resume"], driver, spec)
    assert power(driver, spec) is PowerState.RUNNING


def test_a_suspended_guest_is_listed_as_such_and_outlives_a_worker(
    driver: Driver, open_driver: Callable[[], Driver], spec: GuestSpec
) -> None:
    boot(driver, spec)
    wait_for(CHANGING["suspend"], driver, spec)
    driver.close()
    successor = open_driver()
    assert [facts.power_state for facts in successor.guests(HOST)] == [PowerState.SUSPENDED]
    with pytest.raises(CallFailed, match="not off"):
        successor.remove_disks(HOST, spec.uuid, 1)
    wait_for(CHANGING["resume"], successor, spec)
    assert power(successor, spec) is PowerState.RUNNING


@on({name: ON_GUEST[name] for name in ("pause", "suspend", "resume")})
def test_a_guest_that_is_off_is_neither_halted_nor_run_on(driver: Driver, spec: GuestSpec, act: Act) -> None:
    boot(driver, spec)
    driver.power_off(HOST, spec.uuid, 1)
    with pytest.raises(CallFailed, match="is off") as failed:
        act(driver, spec)
    assert not failed.value.retryable
    assert power(driver, spec) is PowerState.SHUTDOWN


def test_what_a_running_guest_has_used_is_told_and_of_another_nothing(
    driver: Driver, spec: GuestSpec
) -> None:
    with pytest.raises(GuestNotFound):
        driver.figures(HOST, spec.uuid)
    boot(driver, spec)
    found = driver.figures(HOST, spec.uuid)
    assert (len(found.cpu_times_ns), len(found.nics)) == (1, 0)
    assert len(found.disks) >= 1
    driver.pause(HOST, spec.uuid, 1)
    with pytest.raises(CallFailed, match="does not run"):
        driver.figures(HOST, spec.uuid)


def test_that_a_guest_is_halted_and_runs_on_is_told(driver: Driver, spec: GuestSpec) -> None:
    boot(driver, spec)
    told: list[GuestEvent] = []
    driver.listen(told.append)
    for act, state in (
        ("pause", PowerState.PAUSED),
        ("resume", PowerState.RUNNING),
        ("suspend", PowerState.SUSPENDED),
        ("resume", PowerState.RUNNING),
    ):
        told.clear()
        wait_for(CHANGING[act], driver, spec)
        until(lambda state=state: told and told[-1] == GuestEvent(HOST, spec.uuid, state))


def test_a_guest_shuts_down_when_its_power_button_is_pressed(driver: Driver, spec: GuestSpec) -> None:
    boot(driver, spec)
    until(lambda: driver.console_output(HOST, spec.uuid, 100))
    driver.request_shutdown(HOST, spec.uuid, 1)
    until(lambda: power(driver, spec) is PowerState.SHUTDOWN)


def test_the_console_is_read_from_its_end(driver: Driver, spec: GuestSpec) -> None:
    assert driver.console_output(HOST, spec.uuid, 100) == b""
    boot(driver, spec)
    until(lambda: driver.console_output(HOST, spec.uuid, 100).endswith(b"\r\n"))
    everything = driver.console_output(HOST, spec.uuid, 1_000_000)
    assert driver.console_output(HOST, spec.uuid, 5) == everything[-5:]
    assert driver.console_output(HOST, spec.uuid, 0) == b""


def test_a_destroyed_guest_leaves_its_disks_and_may_be_started_again(driver: Driver, spec: GuestSpec) -> None:
    boot(driver, spec)
    driver.destroy(HOST, spec.uuid, 1)
    assert driver.guest(HOST, spec.uuid) is None
    assert driver.disk_folders(HOST) == (spec.uuid,)
    driver.start(HOST, spec)
    assert power(driver, spec) is PowerState.RUNNING


def test_a_guest_whose_disks_are_not_made_does_not_start(driver: Driver, spec: GuestSpec) -> None:
    with pytest.raises(CallFailed):
        driver.start(HOST, spec)
    boot(driver, spec)
    assert power(driver, spec) is PowerState.RUNNING


def test_the_disks_of_a_running_guest_stay(driver: Driver, spec: GuestSpec) -> None:
    boot(driver, spec)
    with pytest.raises(CallFailed, match="not off"):
        driver.remove_disks(HOST, spec.uuid, 1)
    assert driver.disk_folders(HOST) == (spec.uuid,)


@on(CHANGING)
def test_whoever_holds_a_lower_epoch_is_refused_and_changes_nothing(
    driver: Driver, spec: GuestSpec, act: Act
) -> None:
    boot(driver, at(spec, 5))
    before = driver.guest(HOST, spec.uuid)
    with pytest.raises(StaleEpoch):
        act(driver, at(spec, 4))
    assert driver.guest(HOST, spec.uuid) == before
    assert driver.disk_folders(HOST) == (spec.uuid,)


@on(
    {
        name: CHANGING[name]
        for name in (
            *("create_disks", "start", "power_on", "reboot", "power_off", "raise_epoch"),
            *("pause", "suspend", "resume"),
        )
    }
)
def test_a_higher_epoch_is_remembered(driver: Driver, spec: GuestSpec, act: Act) -> None:
    boot(driver, spec)
    act(driver, at(spec, 7))
    facts = driver.guest(HOST, spec.uuid)
    assert facts is not None
    assert facts.epoch == 7
    with pytest.raises(StaleEpoch):
        driver.power_on(HOST, spec.uuid, 6)


def test_a_folder_without_a_guest_fences_too(driver: Driver, spec: GuestSpec) -> None:
    driver.create_disks(HOST, spec)
    driver.raise_epoch(HOST, spec.uuid, 3)
    with pytest.raises(StaleEpoch):
        driver.start(HOST, at(spec, 2))
    assert driver.guest(HOST, spec.uuid) is None
    driver.start(HOST, at(spec, 3))
    driver.destroy(HOST, spec.uuid, 4)
    with pytest.raises(StaleEpoch):
        driver.create_disks(HOST, at(spec, 3))


def test_power_changes_are_told(driver: Driver, spec: GuestSpec) -> None:
    told: list[GuestEvent] = []
    driver.listen(told.append)
    driver.nodes()
    boot(driver, spec)
    on, off = (GuestEvent(HOST, spec.uuid, power) for power in (PowerState.RUNNING, PowerState.SHUTDOWN))
    until(lambda: on in told)
    driver.power_off(HOST, spec.uuid, 1)
    until(lambda: off in told)
    assert [event for event, _ in groupby(told)] == [on, off]  # what has not changed may be told again


def test_guests_do_not_get_in_each_others_way(driver: Driver, spec: GuestSpec) -> None:
    other = dataclasses.replace(spec, uuid=uuid4(), name=f"{spec.name}-b")
    boot(driver, spec)
    driver.create_disks(HOST, other)
    driver.destroy(HOST, spec.uuid, 9)
    driver.remove_disks(HOST, spec.uuid, 9)
    assert driver.disk_folders(HOST) == (other.uuid,)
    driver.remove_disks(HOST, other.uuid, 1)
