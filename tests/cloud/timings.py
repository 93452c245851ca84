"""What the tests of this folder measured, by name, for the summary at their end."""

from collections import defaultdict
from statistics import median

_seconds: dict[str, list[float]] = defaultdict(list)


def note(name: str, seconds: float) -> None:
    """Keep one measured time."""
    _seconds[name].append(seconds)


def summary() -> list[str]:
    """Return a line for each name."""
    return [
        f"{name}: {len(times)} times, median {median(times):.2f} s, longest {max(times):.2f} s"
        for name, times in sorted(_seconds.items())
    ]
