"""computecloud down: stops what `up` started; with --purge removes the installation from this machine."""

from contextlib import suppress

import click

from computecloud.cli import guests, libvirt_daemon, purge
from computecloud.cli.failures import Failure
from computecloud.cli.installation import Installation, find
from computecloud.cli.processes import end, orphans, transfers
from computecloud.cli.programs import programs
from computecloud.cli.progress import Progress
from computecloud.cli.supervisor import Supervisor


@click.command("down")
@click.option(
    "--purge", "and_purge", is_flag=True, help="Remove its data, guests, and all that it made on this host."
)
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(and_purge: bool, state_dir: str | None) -> None:
    """Stop the cloud. Guests go on running; `up` finds them again."""
    installation = find(state_dir)
    if not installation.state.exists():
        raise Failure(f"there is no cloud in {installation.state}", advice="run bin/up to make one")
    settings = installation.settings()
    settings.setdefault("DRIVER", "libvirt")
    progress = Progress()
    if and_purge:
        purge.purge(installation, settings, progress)
        return
    running = guests.running(installation, settings)
    if not stop(installation, settings, progress):
        progress.say("Nothing ran.")
    if running:
        they = "1 guest goes" if len(running) == 1 else f"{len(running)} guests go"
        progress.say(f"{they} on running; bin/up finds them again, bin/down --purge ends them.")
    else:
        libvirt_daemon.stop_log_daemon(installation)


def stop(installation: Installation, settings: dict[str, str], progress: Progress) -> bool:
    """Stop every process of the installation; False where none ran."""
    with progress.step("Stop processes") as step:
        stopped = Supervisor(installation).stop(step)
        end(transfers(installation))
        wanted = {"WEB_HOST": "127.0.0.1", "WEB_PORT": "8774", **settings}
        with suppress(Failure):
            left = orphans(
                installation, programs(installation, wanted, own_libvirtd=settings["DRIVER"] == "libvirt")
            )
            end(left)
            stopped = stopped or bool(left)
    return stopped
