"""The guests of an installation on this machine, found without its database: by their folders and by libvirt."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from computecloud.cli import libvirt_daemon
from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation
from computecloud.logging import configure as configure_logging
from hypervisors.driver import Driver, DriverError, PowerState
from hypervisors.registry import Options, load

LAST_EPOCH = 2**53  # higher than any that a subject ever has


def running(installation: Installation, settings: dict[str, str]) -> list[UUID]:
    """Return the guests that run; none on fake hosts, or where no libvirtd answers."""
    found: list[UUID] = []
    if settings["DRIVER"] == "libvirt" and _answers(settings):
        for host in _hosts(installation):
            with _Opened(installation, settings, host) as driver, suppress(DriverError):
                ours = set(driver.disk_folders(host))
                on = [one.uuid for one in driver.guests(host) if one.power_state is PowerState.RUNNING]
                found += [uuid for uuid in on if uuid in ours]
    return found


def remove(installation: Installation, settings: dict[str, str]) -> int:
    """Switch off and remove every guest with its disks; returns how many there were. Raises Failure."""
    removed = 0
    for host in _hosts(installation):
        with _Opened(installation, settings, host) as driver:
            folders = driver.disk_folders(host)
        if folders:
            with (
                libvirt_daemon.serving(installation, settings),
                _Opened(installation, settings, host) as driver,
            ):
                _remove_all(driver, host, folders)
        removed += len(folders)
    return removed


def _remove_all(driver: Driver, host: str, uuids: Iterable[UUID]) -> None:
    try:
        for uuid in uuids:
            driver.destroy(host, uuid, LAST_EPOCH)
            driver.remove_disks(host, uuid, LAST_EPOCH)
    except DriverError as error:
        raise Failure(
            f"a guest could not be removed: {error}", advice="look at it with virsh, then run this again"
        ) from error


def _hosts(installation: Installation) -> list[str]:
    """Return the hosts that ever kept something in the state folder."""
    folder = installation.state / "hosts"
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def _answers(settings: dict[str, str]) -> bool:
    try:
        return libvirt_daemon.answers(settings.get("LIBVIRT_URI", libvirt_daemon.URI))
    except Failure:
        return False


class _Opened:
    """A driver for the time of a block."""

    def __init__(self, installation: Installation, settings: dict[str, str], host: str) -> None:
        configure_logging("error")
        uri = settings.get("LIBVIRT_URI", libvirt_daemon.URI)
        self._driver = load(
            "libvirt", Options(state_dir=Path(installation.state), host_name=host, libvirt_uri=uri)
        )

    def __enter__(self) -> Driver:
        return self._driver

    def __exit__(self, *_: object) -> None:
        self._driver.close()
