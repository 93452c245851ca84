"""The clouds that the tests of this folder share: one with real guests, and fake ones on Redis and on RabbitMQ.

CLOUD_KEEP names a folder that their logs are copied to before they are purged.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from computecloud.config import ROOT
from tests.cloud import leftovers
from tests.cloud.cloud import Cloud
from tests.cloud.rabbitmq import RabbitMQ, running

IMAGE = ROOT / "var" / "test" / "demo.qcow2"  # bin/test builds it first of all
PACKAGES = Path(os.environ.get("COMPUTECLOUD_DEMO_CACHE", ROOT / "var" / "cache" / "demo-packages"))


@pytest.fixture(scope="package")
def real_cloud() -> Iterator[Cloud]:
    """Return a cloud with real guests; when it is gone, the machine is as it was before."""
    yield from real()


@pytest.fixture(scope="package")
def fake_cloud() -> Iterator[Cloud]:
    """Return a cloud with two fake hosts."""
    cloud = Cloud(_folder("fake"), "fake", _free_port(), "fake-1")
    yield from _running(cloud, "--hosts", "2")


@pytest.fixture(scope="package")
def rabbitmq() -> Iterator[RabbitMQ]:
    """Return a RabbitMQ of the tests' own."""
    with running() as broker:
        yield broker


@pytest.fixture(scope="package")
def rabbitmq_cloud(rabbitmq: RabbitMQ) -> Iterator[Cloud]:
    """Return a cloud with two fake hosts on RabbitMQ."""
    cloud = Cloud(_folder("amqp"), "fake", _free_port(), "fake-1", {"BROKER_URL": rabbitmq.url})
    yield from _running(cloud, "--hosts", "2")


@pytest.fixture(autouse=True)
def gates_are_open_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let nobody be held by the gate of a test that failed."""
    yield
    for name in ("real_cloud", "fake_cloud", "rabbitmq_cloud"):
        if name in request.fixturenames:
            request.getfixturevalue(name).gates.open_all()


def real(**settings: str) -> Iterator[Cloud]:
    """Yield a cloud with real guests and these settings, and see that the machine is then as it was before."""
    if os.geteuid() != 0:
        pytest.skip("real guests need root")
    cloud = Cloud(_folder("real"), "libvirt", _free_port(), os.uname().nodename)
    cloud.settings.update(settings, PUBLIC_CIDR=_free_range())
    before = leftovers.snapshot(cloud.state)
    if IMAGE.is_file():
        cloud.state.mkdir(exist_ok=True)
        shutil.copy(IMAGE, cloud.state / "demo.qcow2")
    elif PACKAGES.is_dir():
        shutil.copytree(PACKAGES, cloud.state / "cache" / "demo-packages")
    yield from _running(cloud)
    assert cloud.settled(before) == []


def _running(cloud: Cloud, *words: str) -> Iterator[Cloud]:
    try:
        cloud.up(*words)
        yield cloud
    finally:
        if keep := os.environ.get("CLOUD_KEEP"):
            shutil.copytree(cloud.state / "log", Path(keep) / cloud.state.name, dirs_exist_ok=True)
        cloud.purge()
        cloud.state.parent.rmdir()


def _folder(name: str) -> Path:
    """Return a state folder with a short path, for sockets, into which QEMU's user may look."""
    parent = Path(tempfile.mkdtemp(prefix="computecloud-"))
    parent.chmod(0o755)
    return parent / name


def _free_port() -> int:
    """Return a port that nobody listens on; without SO_REUSEPORT, so that no listener is overheard."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free_range() -> str:
    """Return a range that the host does not reach already, such as another cloud's public network."""
    routes = subprocess.run(["ip", "-j", "route"], capture_output=True, text=True, check=True).stdout
    taken = {route["dst"] for route in json.loads(routes or "[]")}
    return next(cidr for n in range(100, 200) if (cidr := f"172.24.{n}.0/24") not in taken)
