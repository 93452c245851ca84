"""Servers made and deleted while the host's worker is killed at random: at the end the machine is as it was.

CLOUD_ROUNDS sets how many rounds are made on each cloud, CLOUD_SEED the chance of a failed run.
"""

import os
import random
import threading
import time

import pytest

from tests.cloud import leftovers, timings
from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import Server, boot

pytestmark = [pytest.mark.cloud, pytest.mark.long]

ROUNDS = {"fake": 30, "libvirt": 8}
LONGEST_S = {"fake": 0.1, "libvirt": 0.8}  # of a boot, and about of a delete
CHANCE = 0.4  # of a kill during a boot, and of one during a delete
HASTE = 0.2  # chance of a delete that does not wait for the boot's end
LATE_S = 90.0


def test_rounds_with_random_kills_leave_nothing_on_a_fake_cloud(fake_cloud: Cloud) -> None:
    rounds_leave_nothing(fake_cloud)


@pytest.mark.faults
def test_rounds_with_random_kills_leave_nothing_on_a_real_cloud(real_cloud: Cloud) -> None:
    rounds_leave_nothing(real_cloud)


def rounds_leave_nothing(cloud: Cloud) -> None:
    """Make and delete servers, killing at random; nothing is to be left, and doctor is to agree."""
    seed = os.environ.get("CLOUD_SEED") or str(random.randrange(10**9))
    chance = random.Random(seed)
    rounds = int(os.environ.get("CLOUD_ROUNDS") or ROUNDS[cloud.driver])
    before = leftovers.snapshot(cloud.state)
    kills = sum(one_round(cloud, chance) for _ in range(rounds))
    assert kills >= rounds // 4, f"seed {seed}: only {kills} kills in {rounds} rounds"
    cloud.await_running()
    assert cloud.settled(before) == [], f"seed {seed}"
    doctor = cloud.doctor()
    assert doctor.returncode == 0, f"seed {seed}: {doctor.stdout}{doctor.stderr}"
    timings.note(f"{cloud.driver}: kills in {rounds} rounds (not seconds)", kills)


def one_round(cloud: Cloud, chance: random.Random) -> int:
    """Make and delete a server; returns how often a worker was killed meanwhile."""
    began = time.monotonic()
    networks = chance.choice([[{"uuid": cloud.network_id}], "auto", "none"])
    kills = [killing(cloud, chance)]
    server = boot(cloud, networks=networks)
    if chance.random() >= HASTE:
        server.await_status("ACTIVE", LATE_S)
    kills.append(killing(cloud, chance))
    end(server)
    killed = [thread for thread in kills if thread is not None]
    for thread in killed:
        thread.join(LATE_S)
    timings.note(f"{cloud.driver}: a round", time.monotonic() - began)
    return len(killed)


def end(server: Server) -> None:
    """Delete the server and see it gone."""
    server.delete()
    server.await_gone(LATE_S)


def killing(cloud: Cloud, chance: random.Random) -> threading.Thread | None:
    """Kill a host's worker at a random moment from now on, or nobody; returns what does it."""
    if chance.random() >= CHANCE:
        return None
    after_s = chance.uniform(0, LONGEST_S[cloud.driver])
    workers = [process.name for process in cloud.supervisor.processes() if process.name.startswith("host-")]
    worker = chance.choice(workers)

    def kill() -> None:
        time.sleep(after_s)
        until(lambda: cloud.process(worker).runs, LATE_S, f"{worker} to run")
        cloud.kill(worker)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread
