"""Gates hold a call before and after its effect."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hypervisors import registry
from hypervisors.driver import CallFailed, Driver, GuestNotFound, GuestSpec
from hypervisors.gated import FAIL, FAIL_FOR_NOW
from hypervisors.registry import Options
from tests.hypervisors.conftest import HOST, make_spec, until


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    """Return the gate folder."""
    (tmp_path / "gates").mkdir()
    return tmp_path / "gates"


@pytest.fixture
def driver(tmp_path: Path, gates: Path) -> Driver:
    """Return a fake driver with gates."""
    return registry.load("fake", Options(state_dir=tmp_path, host_name=HOST, gate_dir=str(gates)))


@pytest.fixture
def spec() -> GuestSpec:
    """Return a guest without an image."""
    return replace(make_spec(base=None), disks=())


@pytest.mark.parametrize(("gate", "effect"), [("start.enter", False), ("start.leave", True)])
def test_a_call_waits_at_a_gate_until_it_is_removed(
    driver: Driver, gates: Path, spec: GuestSpec, gate: str, effect: bool
) -> None:
    (gates / gate).touch()
    reached = gates / f"{gate}.reached"
    call = threading.Thread(target=driver.start, args=(HOST, spec))
    call.start()
    until(reached.exists)
    assert reached.read_text() == str(os.getpid())
    assert (driver.guest(HOST, spec.uuid) is not None) is effect
    (gates / gate).unlink()
    call.join(5)
    assert not call.is_alive()
    assert driver.guest(HOST, spec.uuid) is not None
    assert list(gates.iterdir()) == []


def test_a_call_that_fails_does_not_come_to_its_second_gate(
    driver: Driver, gates: Path, spec: GuestSpec
) -> None:
    (gates / "power_on.leave").touch()
    with pytest.raises(GuestNotFound):
        driver.power_on(HOST, spec.uuid, 1)


@pytest.mark.parametrize(("gate", "effect"), [("start.enter", False), ("start.leave", True)])
@pytest.mark.parametrize("words", [FAIL, FAIL_FOR_NOW])
def test_a_gate_that_says_so_fails_the_first_call_that_comes_before_or_after_its_effect(
    driver: Driver, gates: Path, spec: GuestSpec, gate: str, effect: bool, words: str
) -> None:
    (gates / gate).write_text(words)
    with pytest.raises(CallFailed) as failed:
        driver.start(HOST, spec)
    assert failed.value.retryable is (words == FAIL_FOR_NOW)
    assert (driver.guest(HOST, spec.uuid) is not None) is effect
    assert [file.name for file in gates.iterdir()] == [f"{gate}.struck"]
    driver.start(HOST, spec)
    assert driver.guest(HOST, spec.uuid) is not None


def test_what_is_no_call_of_the_contract_goes_straight_through(driver: Driver) -> None:
    assert driver.name == "fake"
    assert driver.capabilities


def test_without_a_gate_folder_there_is_nothing_in_between(tmp_path: Path) -> None:
    driver = registry.load("fake", Options(state_dir=tmp_path, host_name=HOST))
    assert type(driver).__name__ == "FakeDriver"
