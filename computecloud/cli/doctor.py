"""computecloud doctor: runs every invariant that the rooms registered, and mends what they know how to mend."""

import click
from rich.console import Console

from computecloud.cli import database
from computecloud.cli.installation import enter_existing
from computecloud.cli.programs import host_names


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Mend what can be mended.")
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(fix: bool, state_dir: str | None) -> None:
    """Check every invariant; fails where one is broken, and says how to mend it."""
    installation, settings = enter_existing(state_dir)
    settings.setdefault("HOST_NAME", host_names(settings)[0])
    installation.enter(settings)
    database.load(installation)
    if not examine(Console(highlight=False, soft_wrap=True), fix=fix):
        raise click.exceptions.Exit(1)


def examine(console: Console, *, fix: bool) -> bool:
    """Run the invariants and print what each found; returns whether all hold, or were mended."""
    from workers import invariants

    healthy = True
    for name, check in invariants.registered().items():
        found = list(check())
        console.print(f"  {'[red]✗[/red]' if found else '[green]✓[/green]'} {name}")
        for violation in found:
            console.print(f"      {violation.what}", markup=False)
            if fix and violation.fix is not None:
                violation.fix()
                console.print("      [green]mended[/green]")
            else:
                console.print(f"      do this: {violation.mend}", markup=False)
                healthy = False
    return healthy
