"""What the command line says when something went wrong: the cause, where the log is, and what to do."""

import json
from collections import deque
from pathlib import Path
from typing import IO, Any

import click

LINES = 6
WIDTH = 400


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
    """Return the last lines of a log for a person to read; none where there is no log."""
    try:
        with log.open(errors="replace") as file:
            return [_readable(line.rstrip())[:WIDTH] for line in deque(file, maxlen=lines)]
    except FileNotFoundError:
        return []


def _readable(line: str) -> str:
    """Return a line of JSON as time, event, error, and then the rest; any other as it is."""
    try:
        known = json.loads(line)
        first = [known.pop(name, "") for name in ("timestamp", "event", "error")]
        first += known.pop("exception", "").splitlines()[-1:]
    except (ValueError, AttributeError, TypeError):
        return line
    return "  ".join([*map(str, filter(None, first)), *(f"{key}={value}" for key, value in known.items())])
