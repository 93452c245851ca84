"""computecloud operation: what the engine does and did, why it waits, and how to end it; read from the database itself.

It works while the web server is down, and knows every project.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
from rich.console import Console
from rich.table import Table

from computecloud.cli import database
from computecloud.cli.failures import Failure
from computecloud.cli.installation import enter_existing
from computecloud.cli.output import Group, done, helps, print_json
from computecloud.cli.output import console as _console
from computecloud.cli.servers import server_id

if TYPE_CHECKING:
    from workers.history import Past
    from workers.waiting import Waiting

GROUPS = ("all", "active", "waiting", "succeeded", "failed", "cancelled")
LIST_ADVICE = "bin/computecloud operation list shows what there is"


@click.group("operation", cls=Group)
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(state_dir: str | None) -> None:
    """What the engine does: list it, look at one operation, end it, or have it tried again now."""
    if helps():
        return
    installation, _ = enter_existing(state_dir)
    database.load(installation)


@command.command("list")
@click.option("--state", type=click.Choice(GROUPS), default="all", help="Only operations in this state.")
@click.option("--active", "state", flag_value="active", help="The same as --state active.")
@click.option("--waiting", "state", flag_value="waiting", help="The same as --state waiting.")
@click.option("--failed", "state", flag_value="failed", help="The same as --state failed.")
@click.option("--host", help="Only operations on this host.")
@click.option("--project", help="Only operations of this project (name or id).")
@click.option("--server", help="Only operations on this server (name or id).")
@click.option("--kind", help="Only operations of this kind, e.g. create.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def list_(**asked: Any) -> None:
    """List operations, newest first, with what each waits for."""
    from workers import selectors
    from workers.selectors import Group, Wanted

    project, server = asked["project"], asked["server"]
    wanted = Wanted(
        group=Group(asked["state"]),
        project_id=None if project is None else _project(project),
        subject_id=None if server is None else server_id(server),
        host=asked["host"],
        kind=asked["kind"],
        limit=asked["limit"],
    )
    found = selectors.operations(wanted)
    if not found:
        _require_known(wanted.kind, wanted.host)
    if asked["as_json"]:
        print_json([as_document(one.operation, one.waiting) for one in found])
    else:
        show_list(_console(), found)


def _require_known(kind: str | None, host: str | None) -> None:
    """Raise Failure where nothing was found, since what was asked for is a mistake in writing."""
    from workers import workflow
    from workers.models import Host

    kinds = workflow.registered()
    if kind is not None and kind not in kinds:
        raise Failure(
            f"there is no operation of kind {kind}", advice=f"choose among: {', '.join(sorted(kinds))}"
        )
    if host is not None and not Host.objects.filter(name=host).exists():
        raise Failure(f"there is no host {host}", advice="bin/computecloud host list shows what there is")


def as_document(operation: "Past", why: "Waiting | None") -> dict[str, Any]:
    """Return an operation for a program to read."""
    names = (
        *("id", "kind", "state", "subject_type", "subject_id", "host", "project_id", "user_id", "request_id"),
        *("created_at", "finished_at", "cancelled_by", "error"),
    )
    return {
        **{name: getattr(operation, name) for name in names},
        "step": _step(operation) or None,
        "waits_for": why.reason if why else None,
    }


def show_list(console: Console, found: list[Any]) -> None:
    """Print operations as a table, a line each."""
    table = Table(
        "operation", "kind", "of", "state", "step", "host", "age", "waits for", box=None, pad_edge=False
    )
    for column in (0, 2):
        table.columns[column].no_wrap = True
    for one in found:
        operation = one.operation
        table.add_row(
            str(operation.id),
            operation.kind,
            f"{operation.subject_type} {str(operation.subject_id)[:8]}",
            _coloured(operation.state),
            _step(operation),
            operation.host or "",
            _age(operation.created_at),
            one.waiting.reason if one.waiting else _shortened(operation.error),
        )
    console.print(table)
    if not found:
        console.print("There is none.")


@command.command("show")
@click.argument("operation")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(operation: str, as_json: bool) -> None:
    """Show one operation: what it is for, why it waits, and its steps with their times."""
    from workers import history

    found = _find(operation)
    if as_json:
        steps = [asdict(run) for run in history.runs(found)]
        print_json({**as_document(found, _why(found)), "steps": steps})
    else:
        show_one(_console(), found)


def show_one(console: Console, operation: "Past") -> None:
    """Print an operation and its steps: when each began, in ms from the request, and how long it took."""
    from workers import history

    why = _why(operation)
    lines = {
        "kind": operation.kind,
        "of": f"{operation.subject_type} {operation.subject_id}",
        "state": _coloured(operation.state),
        "step": _step(operation),
        "waits for": why.reason if why else "",
        "host": operation.host or "",
        "project": operation.project_id,
        "user": operation.user_id,
        "request": operation.request_id,
        "accepted": f"{operation.created_at:%Y-%m-%d %H:%M:%S}",
        "ended": f"{operation.finished_at:%Y-%m-%d %H:%M:%S}" if operation.finished_at else "",
        "cancelled by": operation.cancelled_by,
        "error": operation.error,
    }
    console.print(f"[bold]{operation.id}[/bold]")
    for name, value in lines.items():
        if value:
            console.print(f"  {name:<13}{value}")
    table = Table("step", "at ms", "took ms", "try", "result", "where", "error", box=None, pad_edge=False)
    for run in history.runs(operation):
        table.add_row(
            f"undo {run.step}" if run.undo else run.step,
            _ms(operation.created_at, run.started_at),
            _ms(run.started_at, run.finished_at),
            str(run.attempt),
            run.outcome,
            run.host or "control",
            _shortened(run.error),
        )
    console.print(table)


@command.command("cancel")
@click.argument("operation")
def cancel(operation: str) -> None:
    """End an operation: what it did is undone."""
    from workers import cancel as cancelling

    now = done(lambda: cancelling.cancel(_find(operation).id, by="an operator"), advice=LIST_ADVICE)
    click.echo(f"operation {now.id} ({now.kind}) is cancelled; it is {now.state} and ends when it is undone")


@command.command("retry")
@click.argument("operation")
def retry(operation: str) -> None:
    """Have an operation that waits tried again now."""
    from workers import hurry

    now = done(lambda: hurry.retry_now(_find(operation).id), advice=LIST_ADVICE)
    click.echo(f"operation {now.id} ({now.kind}) is tried again now")


def _why(operation: "Past") -> "Waiting | None":
    from workers import waiting
    from workers.models import Operation

    return waiting.of(operation) if isinstance(operation, Operation) else None


def _find(text: str) -> "Past":
    """Return the operation of this id; raises Failure."""
    from django.db.models import Q

    from workers import history

    try:
        found = history.find(Q(id=UUID(text)))
    except ValueError:
        found = None
    if found is None:
        raise Failure(f"there is no operation {text}", advice=LIST_ADVICE)
    return found


def _project(text: str) -> str:
    from identity.models import Project

    found = Project.objects.filter(id=text).first() or Project.objects.filter(name=text).first()
    if found is None:
        raise Failure(f"there is no project {text}", advice="bin/openstack project list shows what there is")
    return str(found.id)


def _step(operation: "Past") -> str:
    from workers import selectors

    return selectors.step_of(operation) or ""


def _coloured(state: str) -> str:
    colour = {"failed": "red", "cancelled": "yellow", "succeeded": "green"}.get(state, "cyan")
    return f"[{colour}]{state}[/{colour}]"


def _shortened(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:119]}…"


def _age(at: datetime) -> str:
    seconds = int((datetime.now(UTC) - at).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _ms(begin: datetime, end: datetime) -> str:
    return f"{(end - begin).total_seconds() * 1e3:.0f}"
