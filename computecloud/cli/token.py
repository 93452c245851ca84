"""computecloud token: the keys that tokens are signed with; a new one logs nobody out."""

from datetime import UTC, datetime

import click
from rich.table import Table

from computecloud.cli import database
from computecloud.cli.installation import enter_existing
from computecloud.cli.output import console, done, print_json

ADVICE = "see COMPUTECLOUD_TOKEN_KEYS in docs/operating.md"


@click.group("token")
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(state_dir: str | None) -> None:
    """The keys that tokens are signed with: look at them, make a new one."""
    installation, _ = enter_existing(state_dir)
    database.load(installation)


@command.command("rotate")
@click.option("--at-once", is_flag=True, help="A key was stolen: the old ones check nothing any more.")
def rotate(*, at_once: bool) -> None:
    """Sign with a new key. The old ones check for as long as a token of theirs lives, so nobody is logged out."""
    from identity import signing

    key_id = done(lambda: signing.rotate(at_once=at_once), advice=ADVICE)
    when = "now" if at_once else f"in {signing.SETTLES.seconds} s"
    click.echo(f"{when} every process signs tokens with key {key_id}")
    click.echo(
        "every older token is void: log in again" if at_once else "older tokens stay good until they expire"
    )


@command.command("keys")
@click.option("--json", "as_json", is_flag=True, help="For a program to read.")
def keys(*, as_json: bool) -> None:
    """List the signing keys by their ids, newest first."""
    from identity import signing

    signs = signing.signing_key()[0]
    rows = signing.listed()
    documents = [
        {"id": row.id, "made": row.created_at, "checks_until": row.expires_at, "signs": row.id == signs}
        for row in rows
    ]
    if signs not in {row.id for row in rows}:
        documents.insert(0, {"id": signs, "made": None, "checks_until": None, "signs": True})
    if as_json:
        print_json(documents)
        return
    table = Table("key", "made", "checks until", "signs", box=None, pad_edge=False)
    for one in documents:
        made, until = one["made"], one["checks_until"]
        table.add_row(
            str(one["id"]),
            _moment(made) if isinstance(made, datetime) else "from the settings",
            _moment(until) if isinstance(until, datetime) else "",
            "yes" if one["signs"] else "",
        )
    console().print(table)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(sep=" ", timespec="seconds")
