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
_first: set[str] = set()


def register(name: str, check: Check, *, first: bool = False) -> None:
    """Have doctor run this check; its name says what must be true. first: others take its violation for theirs."""
    _checks[name] = check
    if first:
        _first.add(name)


def registered() -> dict[str, Check]:
    """Return every check by its name, in the order in which they are to be mended."""
    return dict(sorted(_checks.items(), key=lambda item: (item[0] not in _first, item[0])))


def violations() -> dict[str, list[Violation]]:
    """Run every check; returns what each found."""
    return {name: list(check()) for name, check in registered().items()}


def of(*names: str) -> Iterator[Violation]:
    """Run the checks of these names; raises KeyError where nobody registered one."""
    for name in names:
        yield from _checks[name]()
