"""Removing an installation: its guests, what it made on this host, its processes, and its data, in this order."""

import shutil

from computecloud.cli import guests, libvirt_daemon
from computecloud.cli.failures import Failure
from computecloud.cli.installation import ROOT, Installation
from computecloud.cli.progress import Progress
from computecloud.cli.supervisor import Supervisor


def purge(installation: Installation, settings: dict[str, str], progress: Progress) -> None:
    """Remove everything; what cannot be removed raises Failure and leaves the rest for the next run."""
    from computecloud.cli.down import stop

    _require_own(installation)
    if settings["DRIVER"] == "libvirt" and installation.settings_file.exists():
        with progress.step("Stop the workers") as step:
            Supervisor(installation).stop_programs(step)
        with progress.step("Remove guests") as step:
            step.note = str(guests.remove(installation, settings))
        with progress.step("Remove networks") as step:
            step.note = f"{remove_wiring(installation, settings)} things"
    stop(installation, settings, progress)
    libvirt_daemon.stop_log_daemon(installation)
    libvirt_daemon.remove_run(installation)
    with progress.step("Remove data") as step:
        shutil.rmtree(installation.state, ignore_errors=True)
        link = ROOT / "clouds.yaml"
        if installation.is_default and link.is_symlink():
            link.unlink()
        step.note = str(installation.state)
    if settings.get("DATABASE_URL"):
        progress.say("The database at COMPUTECLOUD_DATABASE_URL is not ours to drop: its data is kept.")
    if installation.state.exists():
        raise Failure(
            f"{installation.state} could not be removed whole", advice=f"rm -r {installation.state}"
        )


def _require_own(installation: Installation) -> None:
    """Raise Failure for a folder that does not look like an installation's, whatever --state-dir says."""
    if not (installation.settings_file.exists() or (installation.run.is_dir() and installation.log.is_dir())):
        raise Failure(
            f"{installation.state} is not the state of a cloud: nothing is removed",
            advice="check --state-dir",
        )


def remove_wiring(installation: Installation, settings: dict[str, str]) -> int:
    """Remove the bridges, namespaces and rules that are this installation's; returns how many things went."""
    installation.enter(settings)
    from networking import names
    from networking.wiring import presence

    return len(presence.remove_all(names.tag_of(str(installation.state))))
