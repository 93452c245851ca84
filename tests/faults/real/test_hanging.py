"""A hypervisor that hangs: its call is unknown and its subject locked, and nobody else has to wait for it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from computecloud.cli.installation import PREFIX, ROOT
from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import Server, boot
from tests.faults import record
from tests.faults.real import aim, ledger
from tests.faults.real.conftest import CALL_S
from tests.faults.real.test_hypervisor import errors, hanging
from tests.faults.real.test_split_brain import is_alive

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

OTHER = "fake-9"
QUICK_S = 10.0  # who waits for the call that hangs waits longer
END_S = 90.0
DEAD_S = 120.0
UNKNOWN = "outcome is unknown"


@pytest.fixture
def other_host(real_cloud: Cloud) -> Iterator[str]:
    """Return a second host of the cloud, a fake one, which counts as dead before the next test begins."""
    more = {f"{PREFIX}DRIVER": "fake", f"{PREFIX}HOST_NAME": OTHER}
    log = (real_cloud.state / "log" / f"host-{OTHER}.log").open("w")
    command = [sys.executable, "-m", "computecloud", "worker", "host"]
    worker = subprocess.Popen(
        command, cwd=ROOT, env=real_cloud.environment | more, stdout=log, stderr=log, start_new_session=True
    )
    try:
        until(lambda: _lives(real_cloud), END_S, f"{OTHER} to be alive")
        yield OTHER
    finally:
        worker.terminate()
        worker.wait(END_S)
        log.close()
    until(lambda: not is_alive(real_cloud, OTHER), DEAD_S, f"{OTHER} to be given up on")


def _lives(cloud: Cloud) -> bool:
    with suppress(ValueError):  # it has no row yet
        return is_alive(cloud, OTHER)
    return False


def boot_on(cloud: Cloud, host: str) -> Server:
    """Ask for a server on this host."""
    return boot(cloud, availability_zone=f"nova:{host}")


@contextmanager
def guest_hanging(server: Server) -> Iterator[None]:
    """Have a guest's QEMU answer nobody, not even libvirtd, for as long as the block runs."""
    [pid] = [int(folder.name) for folder in Path("/proc").iterdir() if _runs(folder, server.id)]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _runs(folder: Path, server_id: str) -> bool:
    with suppress(OSError, ValueError):
        words = (folder / "cmdline").read_bytes().split(b"\0")
        is_qemu = Path(words[0].decode()).name == "qemu-system-x86_64"
        return folder.name.isdigit() and is_qemu and server_id.encode() in words
    return False


def hard_reboot(server: Server) -> float:
    """Reset a guest; returns how long that took in s."""
    began = time.monotonic()
    server.act("reboot", {"type": "HARD"})
    server.await_status("ACTIVE", END_S)
    return time.monotonic() - began


def test_a_libvirtd_that_hangs_holds_up_no_other_host_and_no_step_that_needs_it_not(
    real_cloud: Cloud, other_host: str
) -> None:
    stuck = boot_on(real_cloud, real_cloud.host)
    stuck.await_status("ACTIVE", END_S)
    free = boot_on(real_cloud, other_host)
    free.await_status("ACTIVE", END_S)
    with hanging(real_cloud):
        stuck.act("reboot", {"type": "HARD"})
        newcomer = boot_on(real_cloud, real_cloud.host)
        rebooted_s = hard_reboot(free)
        second = boot_on(real_cloud, other_host)
        booted_s = second.await_status("ACTIVE", END_S)
        until(lambda: ("image", "success") in ledger.runs(newcomer, "create"), QUICK_S, "image to be there")
        held = ledger.operation(stuck, "reboot")
        time.sleep(CALL_S + 2)
        assert ledger.operation(stuck, "reboot").state == "running"
        later_s = hard_reboot(free)
    back_at = time.time()
    recover_s = ledger.recovered(stuck, "reboot", back_at, END_S)
    for server in (stuck, newcomer):
        aim.await_end(server, "ACTIVE", END_S)
    assert max(rebooted_s, booted_s, later_s) < QUICK_S
    overran = any(UNKNOWN in words for words in errors(stuck, "reboot"))
    fault = f"libvirtd of its host hangs for over {CALL_S:.0f} s, another host goes on"
    row = record.Row("libvirt", "reboot hard", "reset", fault, "succeeded", recover_s)
    record.note(row, fired=held.leased and overran)
    for server in (free, second):
        server.delete()
        server.await_gone()
    for server in (stuck, newcomer):
        aim.remove(server)


def test_a_guest_that_hangs_keeps_its_lock_and_holds_up_no_other_guest_of_its_host(real_cloud: Cloud) -> None:
    stuck, free = boot_on(real_cloud, real_cloud.host), boot_on(real_cloud, real_cloud.host)
    for server in (stuck, free):
        server.await_status("ACTIVE", END_S)
    with guest_hanging(stuck):
        stuck.act("os-stop")
        times = [hard_reboot(free)]
        until(lambda: errors(stuck, "stop"), CALL_S + QUICK_S, "the call to overrun")
        times += [hard_reboot(free) for _ in range(3)]
        time.sleep(CALL_S)
        said = errors(stuck, "stop")
        held = ledger.operation(stuck, "stop")
    back_at = time.time()
    assert held.state == "running"
    assert len(said) == 1, (
        "the subject was not locked: a second call was made while the first had not returned"
    )
    recover_s = ledger.recovered(stuck, "stop", back_at, END_S)
    aim.await_end(stuck, "SHUTOFF", END_S)
    assert max(times) < QUICK_S
    fault = "its QEMU hangs, another guest of its host goes on"
    row = record.Row("libvirt", "stop", "ask", fault, "succeeded", recover_s)
    record.note(row, fired=UNKNOWN in said[0])
    for server in (stuck, free):
        aim.remove(server)
