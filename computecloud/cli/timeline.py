"""The steps of a server's newest operation with their times, as the API tells them."""

from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from computecloud.cli.client import Client
from computecloud.cli.connect import client
from computecloud.cli.failures import Failure
from computecloud.cli.installation import enter_existing


def show(demo: Client, server_id: str, console: Console) -> None:
    """Print the newest action's steps: when each began, in ms from the request, and how long it took."""
    actions = demo.get(f"/compute/v2.1/servers/{server_id}/os-instance-actions")["instanceActions"]
    path = f"/compute/v2.1/servers/{server_id}/os-instance-actions/{actions[0]['request_id']}"
    action: dict[str, Any] = demo.get(path)["instanceAction"]
    table = Table("step", box=None, pad_edge=False, header_style="dim")
    table.add_column("at ms", justify="right", header_style="dim")
    table.add_column("took ms", justify="right", header_style="dim")
    table.add_column("result", header_style="dim")
    accepted = _moment(action["start_time"])
    for event in sorted(action["events"], key=lambda event: str(event["start_time"])):
        began = _moment(event["start_time"])
        ended = _moment(event["finish_time"] or event["start_time"])
        table.add_row(event["event"], _ms(accepted, began), _ms(began, ended), event["result"])
    console.print(f"[bold]{action['action']}[/bold], request {action['request_id']}")
    console.print(table)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _ms(begin: datetime, end: datetime) -> str:
    return f"{(end - begin).total_seconds() * 1000:.0f}"


@click.command("timeline")
@click.argument("server", default="hello")
@click.option("--state-dir", help="The installation's state folder.")
def command(server: str, state_dir: str | None) -> None:
    """Show the steps of the newest operation of SERVER (name or id; default: hello)."""
    installation, settings = enter_existing(state_dir)
    admin = client(installation, settings, "admin")
    found = admin.get(f"/compute/v2.1/servers?all_tenants=1&limit=1000&name=^{server}$")["servers"]
    found = found or [
        one for one in admin.get("/compute/v2.1/servers?all_tenants=1")["servers"] if one["id"] == server
    ]
    if not found:
        raise Failure(f"there is no server {server}", advice="bin/openstack server list shows what there is")
    show(admin, found[0]["id"], Console(highlight=False))
