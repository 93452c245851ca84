"""What must be true, by name: each room registers its checks; doctor runs them all, audits those that they name."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

FIX = "computecloud doctor --fix"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that is not as it must be, the command that mends it, and what that command calls, if it can.

    fix may return False, or 0, where the thing is as it must be by now. cause says what makes it so.
    """

    what: str
    mend: str = FIX
    fix: Callable[[], object] | None = None
    cause: str = ""
    subject: str = ""


Check = Callable[[], Iterable[Violation]]
_checks: dict[str, Check] = {}


def register(name: str, check: Check) -> None:
    """Have doctor run this check; its name says what must be true."""
    _checks[name] = check


def registered() -> dict[str, Check]:
    """Return every check by its name."""
    return dict(sorted(_checks.items()))


def violations() -> dict[str, list[Violation]]:
    """Run every check; returns what each found."""
    return {name: list(check()) for name, check in registered().items()}


def of(*names: str) -> Iterator[Violation]:
    """Run the checks of these names; raises KeyError where nobody registered one."""
    for name in names:
        yield from _checks[name]()
