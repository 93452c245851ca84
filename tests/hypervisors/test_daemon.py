"""A libvirtd that hangs, dies and comes back, on the session's own one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from hypervisors.driver import (
    CallFailed,
    CallOverran,
    Driver,
    GuestEvent,
    GuestSpec,
    HypervisorUnavailable,
    PowerState,
)
from hypervisors.registry import Options, load
from tests.hypervisors.conftest import HOST, until
from tests.hypervisors.private_libvirt import PrivateLibvirt
from tests.patience import patience

pytestmark = pytest.mark.guest

LIMIT_S = 2.0 * patience()
HANG_S = min(
    LIMIT_S, 8.0
)  # a call's limit; libvirtd hangs for twice that, and for no longer than its keepalive stands


@pytest.fixture
def driver(tmp_path: Path, stopped: PrivateLibvirt) -> Iterator[Driver]:
    """Return a driver with a short limit."""
    yield from opened(tmp_path, stopped, LIMIT_S)


@pytest.fixture
def hasty(tmp_path: Path, stopped: PrivateLibvirt) -> Iterator[Driver]:
    """Return a driver that gives a call up before its connection is lost."""
    yield from opened(tmp_path, stopped, HANG_S)


def opened(folder: Path, stopped: PrivateLibvirt, limit_s: float) -> Iterator[Driver]:
    options = Options(state_dir=folder, host_name=HOST, libvirt_uri=stopped.uri, timeout_s=limit_s)
    driver = load("libvirt", options)
    yield driver
    stopped.signal(signal.SIGCONT)
    stopped.release()
    until(lambda: answers(driver))
    for guest in driver.guests(HOST):
        driver.destroy(HOST, guest.uuid, 2**62)
    driver.close()


@pytest.fixture
def stopped(private_libvirtd: PrivateLibvirt) -> Iterator[PrivateLibvirt]:
    """Return the libvirtd, to be stopped or held down; it is well again when the test ends."""
    yield private_libvirtd
    private_libvirtd.signal(signal.SIGCONT)
    private_libvirtd.release()


def answers(driver: Driver) -> bool:
    """Return whether libvirt answers."""
    try:
        driver.guests(HOST)
    except (HypervisorUnavailable, CallFailed):
        return False
    return True


def test_a_hung_libvirtd_makes_one_call_overrun_and_the_others_fail_at_once(
    hasty: Driver, stopped: PrivateLibvirt, spec: GuestSpec
) -> None:
    hasty.guests(HOST)
    stopped.signal(signal.SIGSTOP)
    with pytest.raises(CallOverran) as overrun:
        hasty.guests(HOST)
    assert not overrun.value.pending.done()
    time.sleep(HANG_S)
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(HypervisorUnavailable):
            hasty.start(HOST, spec)
    assert hasty.disk_folders(HOST) == ()
    assert time.monotonic() - began < 3
    stopped.signal(signal.SIGCONT)
    assert overrun.value.pending.result(timeout=5) == ()
    until(lambda: answers(hasty))


def test_a_libvirtd_that_hangs_from_the_first_call_on_holds_nobody_up(
    tmp_path: Path, stopped: PrivateLibvirt
) -> None:
    driver = load(
        "libvirt", Options(state_dir=tmp_path, host_name=HOST, libvirt_uri=stopped.uri, timeout_s=LIMIT_S)
    )
    stopped.signal(signal.SIGSTOP)
    with pytest.raises(HypervisorUnavailable):
        driver.nodes()
    began = time.monotonic()
    with pytest.raises(HypervisorUnavailable):
        driver.nodes()
    assert time.monotonic() - began < LIMIT_S / 2
    stopped.signal(signal.SIGCONT)
    until(lambda: answers(driver))
    driver.close()


@contextmanager
def busy_machine() -> Iterator[None]:
    """Have other processes want every processor, twice."""
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_while_a_guest_answers_nobody_calls_for_others_are_answered_at_once(
    hasty: Driver, stopped: PrivateLibvirt, spec: GuestSpec
) -> None:
    hasty.create_disks(HOST, spec)
    hasty.start(HOST, spec)
    (qemu,) = stopped.guest_pids()
    longest_s = 0.0
    with busy_machine(), ThreadPoolExecutor() as pool:
        os.kill(qemu, signal.SIGSTOP)
        try:
            hanging = pool.submit(hasty.request_shutdown, HOST, spec.uuid, 1)
            while not hanging.done():  # one at a time, as a second one's traffic would help the first along
                began = time.monotonic()
                assert hasty.guest(HOST, uuid4()) is None
                longest_s = max(longest_s, time.monotonic() - began)
        finally:
            os.kill(qemu, signal.SIGCONT)
        with pytest.raises(CallOverran):
            hanging.result()
    assert longest_s < HANG_S / 2


def test_guests_outlive_libvirtd_and_the_driver_finds_it_again(
    driver: Driver, private_libvirtd: PrivateLibvirt, spec: GuestSpec
) -> None:
    driver.create_disks(HOST, spec)
    driver.start(HOST, spec)
    for _ in range(3):
        private_libvirtd.kill()
        private_libvirtd.await_ready()
        until(lambda: answers(driver))
        facts = driver.guest(HOST, spec.uuid)
        assert facts is not None
        assert facts.power_state is PowerState.RUNNING


def test_what_happened_while_libvirtd_was_away_is_told_when_it_is_back(
    driver: Driver, private_libvirtd: PrivateLibvirt, spec: GuestSpec
) -> None:
    told: list[GuestEvent] = []
    driver.listen(told.append)
    driver.create_disks(HOST, spec)
    driver.start(HOST, spec)
    private_libvirtd.hold()
    private_libvirtd.kill()
    with pytest.raises((HypervisorUnavailable, CallFailed)):
        driver.guests(HOST)
    (pid,) = private_libvirtd.guest_pids()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not private_libvirtd.guest_pids())
    told.clear()
    private_libvirtd.release()
    until(lambda: any(event.power_state is not PowerState.RUNNING for event in told))
    assert {event.uuid for event in told} == {spec.uuid}


def test_reconnecting_leaves_no_file_open(driver: Driver, private_libvirtd: PrivateLibvirt) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    driver.listen(lambda _: None)
    until(lambda: answers(driver))
    before = open_files()
    for _ in range(5):
        private_libvirtd.kill()
        private_libvirtd.await_ready()
        until(lambda: answers(driver))
    until(lambda: open_files() <= before)


def test_a_guest_is_made_whole_by_a_second_try_after_libvirtd_died_in_the_first(
    driver: Driver, private_libvirtd: PrivateLibvirt, spec: GuestSpec
) -> None:
    driver.create_disks(HOST, spec)
    private_libvirtd.kill()
    private_libvirtd.await_ready()
    until(lambda: answers(driver))
    driver.start(HOST, replace(spec, epoch=2))
    facts = driver.guest(HOST, spec.uuid)
    assert facts is not None
    assert (facts.power_state, facts.epoch) == (PowerState.RUNNING, 2)
