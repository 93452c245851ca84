"""The clouds of real processes that faults are aimed at: fake hosts on two stacks, and real guests.

A cloud lives for all tests of this folder that use it; each test leaves it as it was. CLOUD_KEEP names a folder that
their logs are copied to.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.cloud import leftovers, rabbitmq
from tests.cloud.cloud import Cloud
from tests.cloud.conftest import _folder, _free_port, _running, real_cloud
from tests.cloud.postgresql import Cluster

__all__ = ["real_cloud"]

DELAY_S = 0.02
STACKS = ("sqlite+redis", "postgresql+rabbitmq")


def fake(name: str) -> Cloud:
    """Return a cloud of fake hosts that is not started yet, each call of whose driver takes a moment."""
    cloud = Cloud(_folder(name), "fake", _free_port(), "fake-1")
    cloud.settings["FAKE_DELAY_S"] = str(DELAY_S)
    return cloud


@pytest.fixture(scope="package", params=STACKS)
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Return a cloud with two fake hosts, on each stack; in the end nothing is left in it, and doctor agrees."""
    with ExitStack() as stack:
        made = fake("fake")
        made.stack = request.param
        if request.param.startswith("postgresql"):
            cluster = Cluster.make()
            stack.callback(cluster.remove)
            made.settings["DATABASE_URL"] = cluster.url
            made.settings["BROKER_URL"] = stack.enter_context(rabbitmq.running()).url
        for running in _running(made, "--hosts", "2"):
            before = leftovers.snapshot(running.state)
            yield running
            running.await_running()
            assert running.settled(before) == []
            doctor = running.doctor()
            assert doctor.returncode == 0, doctor.stdout + doctor.stderr


@pytest.fixture(autouse=True)
def gates_are_open_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let nobody be held by the gate of a test that failed."""
    yield
    for name in ("cloud", "real_cloud"):
        if name in request.fixturenames:
            request.getfixturevalue(name).gates.open_all()
