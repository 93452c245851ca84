"""computecloud doctor: states every invariant that the rooms registered, checks it, and mends what it can.

Its exit status is for monitoring: 0 all hold (or were mended), 1 some are broken, 2 some could not be checked.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
from rich.console import Console

from computecloud.cli import database
from computecloud.cli.failures import Failure
from computecloud.cli.installation import enter_existing
from computecloud.cli.programs import host_names

if TYPE_CHECKING:
    from workers.invariants import Check, Violation

HOLDS, BROKEN, UNKNOWN = 0, 1, 2
SECOND_LOOK_AFTER_S = 0.5


class CannotCheck(Failure):
    """There is no cloud here, or its settings are wrong."""

    exit_code = UNKNOWN


@dataclass
class Finding:
    """What became of one invariant: the violations that are left with how to mend each, and those that were mended."""

    name: str
    left: list[tuple[str, str]] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    error: str = ""  # why it could not be checked

    @property
    def status(self) -> int:
        """Return what this says to a monitor."""
        return UNKNOWN if self.error else BROKEN if self.left else HOLDS


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Mend what can be mended.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--state-dir", type=click.Path(), help="The installation's state folder.")
def command(fix: bool, as_json: bool, state_dir: str | None) -> None:
    """Check every invariant, and say how to mend what is broken.

    Exit status: 0 all hold, or were mended; 1 some are broken; 2 some could not be checked.
    """
    try:
        installation, settings = enter_existing(state_dir)
        settings.setdefault("HOST_NAME", host_names(settings)[0])
        installation.enter(settings)
        database.load(installation)
    except Failure as failure:
        raise CannotCheck(failure.message, advice=failure.advice, log=failure.log) from None
    if fix and _is_unsettled():
        raise CannotCheck(
            "a backup was restored: what seems left over may be of a server made since, and nothing is mended",
            advice="run doctor without --fix, save or remove what it lists, then: computecloud restore --settled",
        )
    findings = examine(fix=fix)
    if as_json:
        click.echo(json.dumps(as_document(findings), indent=1))
    else:
        show(Console(highlight=False, soft_wrap=True), findings)
    if worst := max((finding.status for finding in findings), default=HOLDS):
        raise click.exceptions.Exit(worst)


def _is_unsettled() -> bool:
    from django.db import DatabaseError

    from workers import pulse

    try:
        return pulse.age_s(pulse.RESTORED) is not None
    except DatabaseError:  # the checks tell
        return False


def examine(*, fix: bool, pause: Callable[[float], None] = time.sleep) -> list[Finding]:
    """Check every invariant; with fix mend what can be mended, and look whether it is.

    pause: how the time between two looks at what seems broken is waited: work that is under way looks like that.
    """
    from workers import invariants

    return [_examined(name, check, fix=fix, pause=pause) for name, check in invariants.registered().items()]


def _examined(name: str, check: "Check", *, fix: bool, pause: Callable[[float], None]) -> Finding:
    """Check one invariant. Whatever its check or mending raises is a finding, and the others are checked still."""
    finding = Finding(name)
    try:
        found = _broken(check, pause)
        fixable = [violation for violation in found if violation.fix is not None] if fix else []
        for violation in fixable:
            if violation.fix is not None:
                violation.fix()
        if fixable:
            before, found = fixable, _broken(check, pause)
            still = {violation.what for violation in found}
            finding.mended = [violation.what for violation in before if violation.what not in still]
        finding.left = [(violation.what, violation.mend) for violation in found]
    except Exception as error:  # noqa: BLE001 — one that cannot be checked hides no other
        finding.error = f"{type(error).__name__}: {error}"
    return finding


def _broken(check: "Check", pause: Callable[[float], None]) -> "list[Violation]":
    """Return what is broken at two looks, whatever its numbers are at the second."""
    seen = {_without_numbers(violation) for violation in check()}
    if not seen:
        return []
    pause(SECOND_LOOK_AFTER_S)
    return [violation for violation in check() if _without_numbers(violation) in seen]


def _without_numbers(violation: "Violation") -> str:
    return re.sub(r"\b\d+\b", "#", violation.what)


def show(console: Console, findings: list[Finding]) -> None:
    """Print each invariant with what was found."""
    for finding in findings:
        mark = {HOLDS: "[green]✓[/green]", BROKEN: "[red]✗[/red]", UNKNOWN: "[yellow]?[/yellow]"}
        console.print(f"  {mark[finding.status]} {finding.name}")
        for what in finding.mended:
            console.print(f"      {what}", markup=False)
            console.print("      [green]mended[/green]")
        for what, mend in finding.left:
            console.print(f"      {what}", markup=False)
            console.print(f"      do this: {mend}", markup=False)
        if finding.error:
            console.print(f"      could not be checked: {finding.error}", markup=False)


def as_document(findings: list[Finding]) -> dict[str, object]:
    """Return the findings for a program to read."""
    words = {HOLDS: "holds", BROKEN: "broken", UNKNOWN: "unknown"}
    return {
        "status": words[max((finding.status for finding in findings), default=HOLDS)],
        "invariants": [
            {
                "name": finding.name,
                "status": words[finding.status],
                "violations": [{"what": what, "mend": mend} for what, mend in finding.left],
                "mended": finding.mended,
                "error": finding.error or None,
            }
            for finding in findings
        ],
    }
