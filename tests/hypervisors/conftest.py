"""Drivers to test: the fake one, and the libvirt one on a libvirtd of the session's own."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from hypervisors import registry
from hypervisors.driver import Disk, Driver, GuestSpec
from hypervisors.registry import Options
from tests.hypervisors import private_libvirt, tinyguest
from tests.hypervisors.private_libvirt import PrivateLibvirt
from tests.patience import patience

HOST = "host-a"
LAST_EPOCH = 2**62
SHARED_URI = "COMPUTECLOUD_TEST_LIBVIRT_URI"  # test on a libvirtd that runs, not on one of our own


@pytest.fixture(scope="session")
def private_libvirtd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateLibvirt]:
    """Run a libvirtd that tests may stop and kill."""
    if reason := private_libvirt.can_run():
        pytest.skip(reason)
    libvirt = PrivateLibvirt(tmp_path_factory.mktemp("libvirt"))
    yield libvirt
    libvirt.close()


@pytest.fixture(scope="session")
def libvirt_uri(request: pytest.FixtureRequest) -> str:
    """Return where guests may be made."""
    return os.environ.get(SHARED_URI) or request.getfixturevalue("private_libvirtd").uri


@pytest.fixture(scope="session")
def bootable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image whose guest prints a banner and obeys its power button."""
    return tinyguest.write(tmp_path_factory.mktemp("images") / "tiny.raw")


@pytest.fixture(scope="session")
def shortlived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image whose guest switches itself off after about a second."""
    return tinyguest.write(tmp_path_factory.mktemp("images") / "short.raw", lives_a_second=True)


@pytest.fixture
def fake_options(tmp_path: Path) -> Options:
    """Return the options of a fake host with three nodes."""
    return Options(state_dir=tmp_path, host_name=HOST, fake_nodes=3)


@pytest.fixture
def libvirt_options(tmp_path: Path, libvirt_uri: str) -> Options:
    """Return the options of a libvirt host."""
    return Options(state_dir=tmp_path, host_name=HOST, libvirt_uri=libvirt_uri)


@pytest.fixture
def open_driver(request: pytest.FixtureRequest, driver_name: str) -> Iterator[Callable[[], Driver]]:
    """Return what makes a new driver on the same host, as a restarted worker does; guests go with the test."""
    options = request.getfixturevalue(f"{driver_name}_options")
    opened: list[Driver] = []

    def open_() -> Driver:
        opened.append(registry.load(driver_name, options))
        return opened[-1]

    yield open_
    cleaner = registry.load(driver_name, options)
    for uuid in {guest.uuid for guest in cleaner.guests(HOST)} & MADE:
        cleaner.destroy(HOST, uuid, LAST_EPOCH)
    for driver in [*opened, cleaner]:
        driver.close()


@pytest.fixture(params=["fake", pytest.param("libvirt", marks=pytest.mark.guest)])
def driver_name(request: pytest.FixtureRequest) -> str:
    """Return the driver under test: each test that uses it runs once on every driver."""
    return str(request.param)


@pytest.fixture
def driver(open_driver: Callable[[], Driver]) -> Driver:
    """Return a driver on an empty host."""
    return open_driver()


@pytest.fixture
def spec(bootable: Path) -> GuestSpec:
    """Return a small guest with a boot disk, nothing of which is there yet."""
    return make_spec(base=bootable)


MADE: set[UUID] = set()  # guests of this session: a shared libvirtd may have others


def make_spec(*, base: Path | None, epoch: int = 1) -> GuestSpec:
    """Return a guest of its own uuid and name."""
    uuid = uuid4()
    MADE.add(uuid)
    return GuestSpec(
        uuid=uuid,
        epoch=epoch,
        name=f"cctest-{uuid.hex[:12]}",
        display_name="a guest",
        project_id="b1946ac92492d2347c6235b4d2611184",
        vcpus=1,
        memory_mib=64,
        disks=(Disk("root", 1, base, "raw"),),
        config_drive={"openstack/latest/meta_data.json": b"{}"},
    )


def until(condition: Callable[[], object], *, within_s: float = 15.0) -> None:
    """Wait until the condition holds; fail when the time is over."""
    deadline = time.monotonic() + within_s * patience()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
