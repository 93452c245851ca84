"""The clouds of real processes that faults are aimed at: fake hosts on two stacks, and real guests.

A cloud lives for all tests of this folder that use it; each test leaves it as it was. CLOUD_KEEP names a folder that
their logs are copied to.
"""

import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cloud import leftovers, rabbitmq
from tests.cloud.cloud import Cloud
from tests.cloud.conftest import _folder, _free_port, _running, real
from tests.cloud.postgresql import Cluster
from tests.faults.real.load import Load, under_load
from tests.lanes import STACKS

DELAY_S = 0.02
CALL_S = 15.0  # a libvirt call that runs longer has an unknown outcome


def fake(name: str) -> Cloud:
    """Return a cloud of fake hosts that is not started yet, each call of whose driver takes a moment."""
    cloud = Cloud(_folder(name), "fake", _free_port(), "fake-1")
    cloud.settings["FAKE_DELAY_S"] = str(DELAY_S)
    return cloud


@pytest.fixture(scope="package", params=STACKS)
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud with two fake hosts, on each stack."""
    with ExitStack() as stack:
        made = fake("fake")
        made.stack = request.param
        if request.param.startswith("postgresql"):
            cluster = Cluster.make()
            stack.callback(cluster.remove)
            made.settings["DATABASE_URL"] = cluster.url
            made.rabbitmq = stack.enter_context(rabbitmq.running())
            made.settings["BROKER_URL"] = made.rabbitmq.url
        yield from watched(made, "--hosts", "2")


@pytest.fixture
def load(cloud: Cloud) -> Iterator[Load]:
    """Return a load that runs; in the end its servers are gone."""
    with under_load(cloud) as made:
        yield made


def watched(made: Cloud, *words: str) -> Iterator[Cloud]:
    """Yield the cloud, running; in the end nothing is left in it, and doctor agrees."""
    for running in _running(made, *words):
        before = leftovers.snapshot(running.state)
        yield running
        running.await_running()
        assert running.settled(before) == []
        doctor = running.doctor()
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr


@pytest.fixture(scope="module")
def split_cloud() -> Iterator[Cloud]:
    """Return a cloud with four fake hosts, one of which is soon given up on."""
    made = fake("split")
    made.settings.update(HOST_DEAD_AFTER_S="8", LEASE_S="6", HEARTBEAT_INTERVAL_S="1")
    yield from watched(made, "--hosts", "4")


@pytest.fixture(scope="module")
def clock_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return a cloud with two fake hosts whose wall clock can be set."""
    made = fake("clock")
    folder = tmp_path_factory.mktemp("clock")
    made.variables["LD_PRELOAD"] = str(steppable_clock(folder / "clock.so"))
    made.variables["CLOCK_FILE"] = str(folder / "wall-clock")
    set_clock(made, 0)
    yield from watched(made, "--hosts", "2")


def steppable_clock(library: Path) -> Path:
    """Return the library that sets processes' wall clocks, built."""
    source = Path(leftovers.__file__).with_name("clock.c")
    command = ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return library


def set_clock(cloud: Cloud, off_s: int) -> None:
    """Have the cloud's wall clock be off by so much, now."""
    file = Path(cloud.variables["CLOCK_FILE"])
    with file.open("r+b" if file.exists() else "wb") as opened:
        opened.write(struct.pack("q", off_s))


@pytest.fixture(scope="package")
def real_cloud() -> Iterator[Cloud]:
    """Return a cloud with real guests, whose worker waits for libvirt less long than usual."""
    yield from real(LIBVIRT_TIMEOUT_S=str(CALL_S))


@pytest.fixture(autouse=True)
def gates_are_open_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let nobody be held by the gate of a test that failed."""
    yield
    for name in ("cloud", "real_cloud", "split_cloud", "clock_cloud", "small_cloud"):
        if name in request.fixturenames:
            request.getfixturevalue(name).gates.open_all()
