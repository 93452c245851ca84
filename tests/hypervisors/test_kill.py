"""A worker that is killed at any moment: the next one makes the guest whole, or removes it whole."""

import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest

from hypervisors.driver import GuestSpec, PowerState
from hypervisors.registry import Options, load
from tests.hypervisors.conftest import HOST, LAST_EPOCH

pytestmark = pytest.mark.guest

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 10
LONGEST_S = 1.2  # of a boot and a removal, from the worker's first word on

_WORKER = """
import sys, msgspec
from pathlib import Path
from hypervisors.driver import GuestSpec
from hypervisors.registry import Options, load
spec = msgspec.json.decode(sys.argv[3], type=GuestSpec, dec_hook=lambda kind, value: kind(value))
driver = load("libvirt", Options(state_dir=Path(sys.argv[1]), host_name="host-a", libvirt_uri=sys.argv[2]))
driver.nodes()
print("ready", flush=True)
while True:
    driver.create_disks("host-a", spec)
    driver.start("host-a", spec)
    driver.destroy("host-a", spec.uuid, spec.epoch)
    driver.remove_disks("host-a", spec.uuid, spec.epoch)
"""


def test_a_worker_killed_at_any_moment_leaves_what_the_next_one_can_finish(
    libvirt_options: Options, spec: GuestSpec
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    as_json = msgspec.json.encode(asdict(spec), enc_hook=str).decode()
    arguments = [str(libvirt_options.state_dir), libvirt_options.libvirt_uri, as_json]
    for round_ in range(ROUNDS):
        worker = subprocess.Popen(
            [sys.executable, "-c", _WORKER, *arguments], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0, LONGEST_S))
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        driver = load("libvirt", libvirt_options)
        if round_ % 2:
            driver.create_disks(HOST, spec)
            driver.start(HOST, spec)
            facts = driver.guest(HOST, spec.uuid)
            assert facts is not None, seed
            assert facts.power_state is PowerState.RUNNING, seed
        driver.destroy(HOST, spec.uuid, LAST_EPOCH)
        driver.remove_disks(HOST, spec.uuid, LAST_EPOCH)
        time.sleep(0.3)
        assert (driver.guests(HOST), driver.disk_folders(HOST)) == ((), ()), seed
        driver.close()
