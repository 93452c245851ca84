"""What the command line says when something went wrong: the cause, where the log is, and what to do."""

from collections import deque
from pathlib import Path
from typing import IO, Any

import click

LINES = 6


class Failure(click.ClickException):
    """Something went wrong; `log` is the file that tells more, `advice` what to do now."""

    def __init__(self, cause: str, *, advice: str, log: Path | None = None) -> None:
        super().__init__(cause)
        self.advice = advice
        self.log = log

    def show(self, file: IO[Any] | None = None) -> None:
        """Print cause, end of the log, and advice."""
        click.secho(f"failed:  {self.message}", fg="red", err=True, file=file)
        if self.log is not None:
            click.echo(f"log:     {self.log}", err=True, file=file)
            for line in end_of(self.log):
                click.secho(f"         {line}", dim=True, err=True, file=file)
        click.echo(f"do this: {self.advice}", err=True, file=file)


def end_of(log: Path, lines: int = LINES) -> list[str]:
    """Return the last lines of a log, cut to a screen's width; none where there is no log."""
    try:
        with log.open(errors="replace") as file:
            return [line.rstrip()[:300] for line in deque(file, maxlen=lines)]
    except FileNotFoundError:
        return []
