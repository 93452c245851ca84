"""computecloud worker: one worker process in the foreground, as the supervisor runs it."""

import os
import warnings

import click

from computecloud.cli.installation import find


@click.command("worker")
@click.argument("role", type=click.Choice(["control", "host"]))
@click.option(
    "--threads", type=click.IntRange(1, 256), default=4, show_default=True, help="Steps run at once."
)
def command(role: str, threads: int) -> None:
    """Read the queue `control`, or the two of this host, until told to stop."""
    installation = find()
    installation.enter({**installation.settings(), "ROLE": role})
    raise click.exceptions.Exit(run(role, threads=threads))


def run(role: str, *, threads: int) -> int:
    """Do what `celery worker` does, without loading its command line (8 MiB) and Django's checks (18 MiB)."""
    os.environ["CELERY_SKIP_CHECKS"] = "true"
    warnings.filterwarnings("ignore", message="You're running the worker with superuser")
    warnings.filterwarnings(
        "ignore", message="\nIn Celery 5.1"
    )  # that a lost connection ends no step: it must not
    from computecloud.celery import app
    from computecloud.config import CONFIG

    queue = "control" if role == "control" else f"host.{CONFIG.host}"
    worker = app.Worker(
        hostname=f"{queue}@{os.uname().nodename}",
        pool_cls="threads",
        concurrency=threads,
        queues=[queue, f"{queue}.slow"] if role == "host" else [queue],
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)
