"""computecloud status: which processes run, and where the cloud is reached."""

import click
from rich.console import Console
from rich.table import Table

from computecloud.cli.connect import base_url
from computecloud.cli.failures import Failure
from computecloud.cli.installation import enter_existing
from computecloud.cli.supervisor import Supervisor


@click.command("status")
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(state_dir: str | None) -> None:
    """Show the processes and the addresses; fails where something is not up."""
    installation, settings = enter_existing(state_dir)
    console = Console(highlight=False, soft_wrap=True)
    processes = Supervisor(installation).processes()
    if not processes:
        raise Failure("nothing runs", advice="run bin/up")
    table = Table("process", "state", "", box=None, pad_edge=False, header_style="dim")
    for process in processes:
        table.add_row(process.name, process.state, process.description)
    console.print(table)
    console.print(f"API {base_url(settings)}/identity/v3   admin {base_url(settings)}/admin/")
    console.print(f"logs {installation.log}/PROCESS.log")
    down = [process.name for process in processes if not process.runs]
    if down:
        raise Failure(
            f"not up: {', '.join(down)}", log=installation.log / f"{down[0]}.log", advice="run bin/up"
        )
