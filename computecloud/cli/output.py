"""How commands print: tables for people, JSON for programs, and a room's refusal in its own words."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import click
from rich.console import Console

from computecloud.cli.failures import Failure

T = TypeVar("T")


class Group(click.Group):
    """A group whose commands all need a cloud, but for their help; `helps()` tells the group that help is all."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether help is asked for."""
        ctx.meta[__name__] = bool({"-h", "--help"} & set(args))
        return super().parse_args(ctx, args)


def helps() -> bool:
    """Tell whether nothing but help is asked for."""
    return bool(click.get_current_context().meta.get(__name__))


def console() -> Console:
    """Return where to print; what another program reads is not cut to a terminal's width."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 240)


def print_json(document: Any) -> None:
    """Print a document for a program to read; moments are ISO 8601, ids their text."""
    click.echo(json.dumps(document, indent=1, default=_plain, ensure_ascii=False))


def done(work: Callable[[], T], *, advice: str) -> T:
    """Do it; a refusal is told in its own words."""
    from computecloud.wire.errors import CloudError

    try:
        return work()
    except CloudError as error:
        raise Failure(error.message, advice=advice) from None


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not for JSON")
