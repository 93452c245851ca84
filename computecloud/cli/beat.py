"""computecloud beat: the process that rings for periodic work, in the foreground, as the supervisor runs it."""

import click

from computecloud.cli.installation import find


@click.command("beat")
def command() -> None:
    """Ring for the periodic work until told to stop; one process of an installation does."""
    installation = find()
    installation.enter({**installation.settings(), "ROLE": "beat"})
    from computecloud.celery import app

    app.Beat(loglevel="WARNING", quiet=True).run()
