"""computecloud host enroll and host remove."""

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import click

from computecloud.cli.connect import base_url
from computecloud.cli.enrolment.addresses import elsewhere
from computecloud.cli.failures import Failure
from computecloud.cli.installation import find
from computecloud.cli.progress import Progress
from hypervisors.ssh import Remote, RemoteError, Target, UnknownHostKey, connect

_CONNECTION = (
    click.option(
        "--identity", type=click.Path(path_type=Path), help="Private key; default: the agent's and yours."
    ),
    click.option(
        "--known-hosts",
        type=click.Path(path_type=Path),
        default=Path("~/.ssh/known_hosts"),
        show_default=True,
        help="Keys of machines; a key that is not in it, or another one, is refused.",
    ),
    click.option("--accept-new", is_flag=True, help="Keep the machine's key where none is known yet."),
    click.option(
        "--rabbitmqctl", default="rabbitmqctl", show_default=True, help="Command that administers RabbitMQ."
    ),
)


def _connection(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_CONNECTION):
        command = option(command)
    return command


@click.command("enroll")
@click.argument("machine", metavar="[USER@]MACHINE[:PORT]")
@click.option("--name", default="", help="The host's name; default: the machine's.")
@click.option("--database-at", default="", help="MACHINE[:PORT] of the database, as that machine sees it.")
@click.option("--broker-at", default="", help="MACHINE[:PORT] of the broker, as that machine sees it.")
@click.option("--api-at", default="", help="MACHINE[:PORT] of the API, as that machine sees it.")
@click.option(
    "--underlay-ip",
    default="",
    help="IPv4 address there for guests' traffic; default: as it reaches the API.",
)
@click.option(
    "--wheels", type=click.Path(path_type=Path), help="Folder of wheels, for a machine without an index."
)
@click.option(
    "--copy-packages", is_flag=True, help="Copy our own Python packages: the machine's Python is like ours."
)
@_connection
def enroll(machine: str, name: str, **given: Any) -> None:
    """Set up a hypervisor on MACHINE over SSH, or bring it up to date, and wait for its first heartbeat.

    Run it again after an upgrade, or after it failed: it does what is still to do.
    """
    from computecloud.cli.enrolment import role
    from computecloud.cli.enrolment.steps import Enrolling, Plan

    settings = find().settings()
    role.require_postgresql()
    broker_url = settings.get("BROKER_URL", "")
    if not broker_url:
        raise Failure(
            "the broker is this installation's own Redis on a socket, where no other machine reaches it",
            advice="set COMPUTECLOUD_BROKER_URL to a Redis or RabbitMQ on the network; see docs/operating.md",
        )
    plan = Plan(
        name=name,
        database=elsewhere(
            settings["DATABASE_URL"], given["database_at"], what="database", option="--database-at"
        ),
        broker=elsewhere(broker_url, given["broker_at"], what="broker", option="--broker-at"),
        broker_url=broker_url,
        api=elsewhere(base_url(settings), given["api_at"], what="API", option="--api-at"),
        settings=settings,
        underlay_ip=_ipv4(given["underlay_ip"]),
        rabbitmqctl=given["rabbitmqctl"],
        wheels=given["wheels"],
        copy_packages=given["copy_packages"],
    )
    progress = Progress()
    with _reached(target_of(machine, given["identity"]), given) as remote:
        host = _in_words(lambda: Enrolling(remote, plan, progress).run())
    progress.say(f"Host {host} takes guests; {progress.elapsed_s:.0f} s. bin/computecloud host show {host}")


@click.command("remove")
@click.argument("name")
@click.option("--gone", is_flag=True, help="Its machine is gone: only the cloud's side is undone.")
@_connection
def remove(name: str, gone: bool, **given: Any) -> None:
    """Undo an enrolment: worker, code, accounts and rows; refused while the host has guests."""
    from computecloud.cli.enrolment import steps
    from workers.models import Enrolment

    settings, progress = find().settings(), Progress()
    enrolment = Enrolment.objects.filter(host=name).first()
    if enrolment is None:
        raise Failure(f"{name} was not enrolled", advice="bin/computecloud host list shows what there is")
    options = {
        "broker_url": settings.get("BROKER_URL", ""),
        "rabbitmqctl": given["rabbitmqctl"],
        "progress": progress,
    }
    if gone:
        steps.remove(name, None, **options)
    else:
        target = Target(enrolment.user, enrolment.machine, enrolment.port, given["identity"])
        with _reached(target, given) as remote:
            _in_words(lambda: steps.remove(name, remote, **options))
    progress.say(f"Host {name} is removed.")


def target_of(machine: str, identity: Path | None) -> Target:
    """Return where to log in by `[user@]machine[:port]`; raises Failure."""
    user, _, place = machine.rpartition("@")
    name, colon, port = place.rpartition(":")
    if not colon or ":" in name:  # none, or an IPv6 address
        name, port = place, "22"
    if not name or not port.isdecimal() or not 0 < int(port) < 65_536 or name.startswith("-"):
        raise Failure(f"{machine!r} names no machine", advice="give [user@]machine[:port]")
    return Target(user or "root", name, int(port), identity)


def _ipv4(text: str) -> str:
    """Return the address as it stands; raises Failure where it is none."""
    try:
        return str(IPv4Address(text)) if text else ""
    except ValueError:
        raise Failure(f"{text!r} is no IPv4 address", advice="give --underlay-ip 192.0.2.1") from None


def _reached(target: Target, given: dict[str, Any]) -> Remote:
    try:
        return connect(target, known_hosts=given["known_hosts"].expanduser(), accept_new=given["accept_new"])
    except UnknownHostKey as error:
        raise Failure(
            error.message,
            advice="compare it with what the machine itself says (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), "
            "then run this again with --accept-new",
        ) from None
    except RemoteError as error:
        raise Failure(error.message, advice="mend that, and run this again") from None


def _in_words(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except RemoteError as error:
        raise Failure(
            error.message, advice="mend that, and run this again: it goes on where it stopped"
        ) from None
