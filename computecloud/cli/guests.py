"""The guests of an installation on this machine, found without its database: by their folders and by libvirt."""

from pathlib import Path
from uuid import UUID

from computecloud.cli import libvirt_daemon
from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation
from computecloud.cli.programs import host_names
from hypervisors.driver import Driver, DriverError, PowerState
from hypervisors.registry import Options, load

LAST_EPOCH = 2**53  # higher than any that a subject ever has


def running(installation: Installation, settings: dict[str, str]) -> list[UUID]:
    """Return the guests that run; none on fake hosts, or where no libvirtd answers."""
    if settings["DRIVER"] != "libvirt" or not _answers(settings):
        return []
    host = host_names(settings)[0]
    with _Opened(installation, settings, host) as driver:
        ours = set(driver.disk_folders(host))
        return [
            guest.uuid
            for guest in driver.guests(host)
            if guest.uuid in ours and guest.power_state is PowerState.RUNNING
        ]


def remove(installation: Installation, settings: dict[str, str]) -> int:
    """Switch off and remove every guest with its disks; returns how many there were. Raises Failure."""
    host = host_names(settings)[0]
    if not (installation.state / "hosts" / host).exists():
        return 0
    with _Opened(installation, settings, host) as driver:
        try:
            folders = driver.disk_folders(host)
            for uuid in folders:
                driver.destroy(host, uuid, LAST_EPOCH)
                driver.remove_disks(host, uuid, LAST_EPOCH)
        except DriverError as error:
            raise Failure(
                f"a guest could not be removed: {error}", advice="look at it with virsh, then run this again"
            ) from error
    return len(folders)


def _answers(settings: dict[str, str]) -> bool:
    try:
        return libvirt_daemon.answers(settings.get("LIBVIRT_URI", libvirt_daemon.URI))
    except Failure:
        return False


class _Opened:
    """A driver for the time of a block."""

    def __init__(self, installation: Installation, settings: dict[str, str], host: str) -> None:
        uri = settings.get("LIBVIRT_URI", libvirt_daemon.URI)
        self._driver = load(
            "libvirt", Options(state_dir=Path(installation.state), host_name=host, libvirt_uri=uri)
        )

    def __enter__(self) -> Driver:
        return self._driver

    def __exit__(self, *_: object) -> None:
        self._driver.close()
