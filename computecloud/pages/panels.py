"""Tables below a row's own fields, such as a host's guests: each room adds its own to the pages of a lower room."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Panel:
    """One table; otherwise: what stands there where it has no rows; link: where all of them are."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]
    otherwise: str = "None."
    link: str = ""


SHOWN = 20  # rows of a panel
_panels: dict[str, list[tuple[int, Callable[[Any], Panel]]]] = defaultdict(list)


def add(model: str, panel: Callable[[Any], Panel], *, place: int) -> None:
    """Have the pages of this model (`room.Model`) show what panel makes of their row; a lower place is further up."""
    _panels[model].append((place, panel))


def of(row: Any) -> list[Panel]:
    """Return the panels of a row."""
    found = sorted(_panels[row._meta.label], key=lambda entry: entry[0])
    return [panel(row) for _, panel in found]
