"""computecloud audit: the audits, when each is due and what it found last; and running one now."""

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from computecloud.cli import database
from computecloud.cli.installation import enter_existing
from computecloud.cli.output import console, done, print_json

ADVICE = "bin/computecloud audit list shows what there is"


@click.group("audit")
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(state_dir: str | None) -> None:
    """Looks that compare what is intended with what is, mend what differs, and record it."""
    installation, _ = enter_existing(state_dir)
    database.load(installation)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def list_(as_json: bool) -> None:
    """List the audits with their schedule, and what each found when it ran last."""
    from workers import audits
    from workers.models import AuditRun

    newest: dict[str, AuditRun] = {}
    for run in AuditRun.objects.order_by("started_at", "id"):
        newest[run.audit] = run
    documents = [_as_document(row, audits.get(row.name), newest.get(row.name)) for row in audits.schedules()]
    if as_json:
        print_json(documents)
    else:
        show_list(console(), documents)


def show_list(to: Console, documents: list[dict[str, Any]]) -> None:
    """Print audits as a table, a line each."""
    table = Table(
        "audit", "where", "every", "last run", "found", "mended", "what it does", box=None, pad_edge=False
    )
    for one in documents:
        last = one["last_run"] or {}
        table.add_row(
            one["name"],
            "each host" if one["on_host"] else "control",
            f"{one['every_s']} s" if one["enabled"] else "off",
            f"{last['state']} {last['started_at']:%Y-%m-%d %H:%M:%S}" if last else "never",
            str(last.get("found", "")),
            str(last.get("mended", "")),
            one["title"],
        )
    to.print(table)


@command.command("run")
@click.argument("name")
@click.option("--host", default="", help="Only on this host.")
def run(name: str, host: str) -> None:
    """Have an audit run now, by the workers: where it runs, or on one host."""
    from workers import audits

    click.echo(done(lambda: audits.ask(name, by="an operator", host=host), advice=ADVICE))


def _as_document(row: Any, audit: Any, last: Any) -> dict[str, Any]:
    facts = ("host", "state", "why", "found", "mended", "said", "started_at", "finished_at")
    return {
        "name": row.name,
        "title": audit.title,
        "on_host": audit.on_host,
        "every_s": row.every_s,
        "enabled": row.enabled,
        "last_run": {fact: getattr(last, fact) for fact in facts} if last else None,
    }
