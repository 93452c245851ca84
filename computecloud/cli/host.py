"""computecloud host: the hosts of the cloud; read from the database itself, it works while the web server is down."""

import os
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from computecloud.cli import database
from computecloud.cli.enrolment import commands
from computecloud.cli.installation import enter_existing
from computecloud.cli.output import Group, console, done, helps, print_json

if TYPE_CHECKING:
    from workers.models import Host

ADVICE = "bin/computecloud host list shows what there is"
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


@click.group("host", cls=Group)
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(state_dir: str | None) -> None:
    """The hosts: list them, look at one, or have one take no new guests.

    Exit status: 0 it was done; 1 it was not, and the words say why; 2 the command is not understood.
    """
    if helps():
        return
    installation, _ = enter_existing(state_dir)
    os.environ["COMPUTECLOUD_STATE_DIR"] = str(installation.state)
    database.load(installation)


command.add_command(commands.enroll)
command.add_command(commands.remove)


@command.command("list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List the hosts: whether each is up and takes new guests, how full it is."""
    from instances import hosts

    found = [_as_document(host, used) for host, used in hosts.with_usage()]
    if as_json:
        print_json(found)
    else:
        show_list(console(), found)


def show_list(to: Console, found: list[dict[str, Any]]) -> None:
    """Print hosts as a table, a line each."""
    table = Table("host", "state", "takes guests", box=None, pad_edge=False)
    for heading in ("nodes", "servers", "processors", "memory MiB", "disk GiB"):
        table.add_column(heading, justify="right")
    for host in found:
        table.add_row(
            host["name"],
            f"[green]{host['state']}[/green]" if host["state"] == "up" else f"[red]{host['state']}[/red]",
            "yes" if host["enabled"] else f"no: {host['disabled_reason'] or 'disabled'}",
            str(host["nodes"]),
            str(host["servers"]),
            *(_filled(host["capacity"].get(name)) for name in ("VCPU", "MEMORY_MB", "DISK_GB")),
        )
    to.print(table)
    if not found:
        to.print("There is none.")


@command.command("show")
@click.argument("name")
@AS_JSON
def show(name: str, as_json: bool) -> None:
    """Show one host: its worker, its nodes, its servers and what the engine does there."""
    from instances import hosts

    host = _find(name)
    [(_, used)] = hosts.with_usage(name)
    document = {
        **_as_document(host, used),
        "worker": host.worker,
        "epoch": host.epoch,
        "heartbeat_at": host.heartbeat_at,
        "silent_s": host.silent_s,
        "unheard_echoes": host.echo_sent - host.echo_heard,
        **hosts.inside(host),
    }
    if as_json:
        print_json(document)
    else:
        show_one(console(), document)


def show_one(to: Console, document: dict[str, Any]) -> None:
    """Print a host with its nodes, servers and active operations."""
    to.print(f"[bold]{document['name']}[/bold] is {document['state']}")
    enabled = "yes" if document["enabled"] else f"no: {document['disabled_reason'] or 'disabled'}"
    lines = {
        "takes guests": enabled,
        "worker": document["worker"],
        "heartbeat": f"{document['heartbeat_at']:%Y-%m-%d %H:%M:%S}" if document["heartbeat_at"] else "never",
        "unread echoes": document["unheard_echoes"],
        "footprints": document["footprints"],
    }
    for heading, value in lines.items():
        to.print(f"  {heading:<14}{value}", markup=False)
    for heading, capacity in document["capacity"].items():
        to.print(f"  {heading:<14}{_filled(capacity)}")
    for heading in ("node_names", "server_ids", "operations"):
        to.print(f"{heading.replace('_', ' ')}:")
        for one in document[heading]:
            to.print(f"  {one}", markup=False)


@command.command("enable")
@click.argument("name")
def enable(name: str) -> None:
    """Have a host take new guests again."""
    from workers import hosts

    done(lambda: hosts.enable(name=name), advice=ADVICE)
    click.echo(f"host {name} takes new guests")


@command.command("disable")
@click.argument("name")
@click.option("--reason", required=True, help="Why; tenants never see it.")
def disable(name: str, reason: str) -> None:
    """Have a host take no new guests; those that it has go on."""
    from workers import hosts

    done(lambda: hosts.disable(name=name, reason=reason), advice=ADVICE)
    click.echo(f"host {name} takes no new guests; its own go on")


def _find(name: str) -> "Host":
    from workers import hosts

    return done(lambda: hosts.find(name), advice=ADVICE)


def _as_document(host: "Host", used: Any) -> dict[str, Any]:
    """Return a host for a program to read; capacity by resource class as what may be claimed and what is."""
    state = "forced down" if host.forced_down else "up" if host.alive else "down"
    return {
        "name": host.name,
        "state": state,
        "enabled": host.enabled,
        "disabled_reason": host.disabled_reason or None,
        "nodes": used.nodes,
        "servers": used.servers,
        "capacity": {name: {"used": part[0], "total": part[1]} for name, part in used.capacity.items()},
    }


def _filled(capacity: dict[str, int] | None) -> str:
    return f"{capacity['used']}/{capacity['total']}" if capacity else "-"
