"""computecloud explain: why a server is where it is, or why it is nowhere; read from the database itself."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from computecloud.cli import database
from computecloud.cli.failures import Failure
from computecloud.cli.installation import enter_existing
from computecloud.cli.output import console, print_json
from computecloud.cli.servers import server_id

if TYPE_CHECKING:
    from instances.models import Instance
    from scheduling.explanation import Explanation


@click.command("explain")
@click.argument("server")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(server: str, as_json: bool, state_dir: str | None) -> None:
    """Say why SERVER (name or id) is on its node, or on none: every rule's verdict, and the weights.

    Exit status: 0 it was explained; 1 there is no such server.
    """
    installation, _ = enter_existing(state_dir)
    database.load(installation)
    from scheduling import explanation

    instance = _find(server)
    decisions = explanation.of(instance.id)
    if as_json:
        print_json({**_standing(instance), "decisions": [asdict(one) for one in decisions]})
    else:
        show(console(), _standing(instance), decisions)


def show(to: Console, standing: dict[str, Any], decisions: "list[Explanation]") -> None:
    """Print how the server stands, and then each decision about it, the newest first."""
    where = f"on node {standing['node']} of host {standing['host']}" if standing["node"] else "on no node"
    to.print(f"[bold]{standing['name']}[/bold] {standing['id']} is {standing['status']}, {where}.")
    for name, words in (("waits for", standing["waits_for"]), ("fault", standing["fault"])):
        if words:
            to.print(f"  {name}: {words}", markup=False)
    for one in decisions:
        to.print()
        to.print(
            f"{one.at:%Y-%m-%d %H:%M:%S} operation {one.operation_id}: {one.in_words()}.",
            markup=False,
        )
        for verdict in one.verdicts:
            mark = "[red]✗[/red]" if verdict.removed else "[green]✓[/green]"
            to.print(f"  {mark} {verdict.in_words()}; {verdict.left} left")
        if one.weights:
            to.print(_weights(one))
    if not decisions:
        to.print(
            "No placement was decided yet." if not standing["node"] else "No decision about it was kept."
        )


def _weights(one: "Explanation") -> Table:
    rules = [name for name in one.weights[0] if name not in ("node", "weight")]
    table = Table("  node", "weight", *rules, "", box=None, pad_edge=False, header_style="dim")
    for entry in one.weights:
        figures = [f"{entry[name]:.2f}" for name in ("weight", *rules)]
        table.add_row(f"  {entry['node']}", *figures, "chosen" if entry["node"] == one.node else "")
    return table


def _standing(instance: "Instance") -> dict[str, Any]:
    """Return how a server stands: where it is, why it waits, what went wrong."""
    from workers import waiting
    from workers.models import ACTIVE, Operation

    active = Operation.objects.filter(subject_id=instance.id, state__in=ACTIVE).first()
    why = waiting.of(active) if active else None
    return {
        "id": instance.id,
        "name": instance.name,
        "status": "DELETED" if instance.deleted else str(instance.vm_state).upper(),
        "host": instance.host,
        "node": instance.node,
        "waits_for": why.reason if why else None,
        "fault": (instance.fault or {}).get("message"),
    }


def _find(text: str) -> "Instance":
    from instances.models import Instance

    found = Instance.objects.filter(id=server_id(text)).first()
    if found is None:
        raise Failure(f"there is no server {text}", advice="bin/openstack server list shows what there is")
    return found
