"""What must be true, by name: each room registers its checks, and doctor runs them all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

FIX = "computecloud doctor --fix"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that is not as it must be, the command that mends it, and what that command calls, if it can."""

    what: str
    mend: str = FIX
    fix: Callable[[], object] | None = None


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
