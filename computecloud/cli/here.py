"""computecloud here: the host worker of a machine that is enrolled in a cloud elsewhere, under our own supervisor.

`host enroll` calls it on a machine that has no systemd.
"""

import os

import click

from computecloud.cli import database, down, libvirt_daemon, purge
from computecloud.cli.failures import Failure
from computecloud.cli.installation import PARTS, Installation, enter_existing
from computecloud.cli.launch import Launch
from computecloud.cli.progress import Progress
from computecloud.cli.up import FOLDERS


@click.group("here")
def command() -> None:
    """The host worker of this machine, which is enrolled in a cloud elsewhere."""


@command.command("start")
def start() -> None:
    """Have the worker run, and libvirtd where none answers; run again, it changes nothing."""
    installation, settings = _enrolled()
    os.umask(0o022)
    for name in FOLDERS:
        (installation.state / name).mkdir(parents=True, exist_ok=True)
    launch = Launch(installation, settings, Progress())
    if not launch.is_done():
        launch.run()


@command.command("check")
def check() -> None:
    """See that the database and the broker let this machine's worker in."""
    installation, settings = _enrolled()
    database.load(installation)
    from django.db import DatabaseError
    from kombu.exceptions import OperationalError

    from workers import queues
    from workers.models import Host

    try:
        Host.objects.filter(name=settings["HOST_NAME"]).exists()
        queues.look(f"host.{settings['HOST_NAME']}")
    except (DatabaseError, OperationalError) as error:
        raise Failure(
            str(error).strip(), advice="see that the address is right and lets this machine in"
        ) from None


@command.command("stop")
@click.option(
    "--all", "all_of_it", is_flag=True, help="The wiring and the guests' log daemon too: none are left."
)
def stop(all_of_it: bool) -> None:
    """Stop the worker. Guests go on running."""
    installation, settings = _enrolled()
    down.stop(installation, settings, Progress())
    if all_of_it:
        purge.remove_wiring(installation, settings)
        libvirt_daemon.stop_log_daemon(installation)


def _enrolled() -> tuple[Installation, dict[str, str]]:
    installation, settings = enter_existing()
    if settings.get(PARTS) != "host":
        raise Failure("this machine is no enrolled host", advice="bin/up starts a whole cloud")
    return installation, settings
