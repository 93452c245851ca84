"""What the tests of clouds measured, by name, printed at a run's end with what was allowed for it.

A plugin of pytest (`-p tests.cloud.timings` in pyproject.toml): tests that run side by side hand theirs to the process
that prints.
"""

from collections import defaultdict
from statistics import median
from typing import Any

import pytest

from tests.patience import patience

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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand over what was measured in a process of pytest-xdist's."""
    if (handed := getattr(session.config, "workeroutput", None)) is not None:
        handed["timings"] = dict(_seconds)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node: Any) -> None:
    """Take over what another process measured."""
    for name, times in getattr(node, "workeroutput", {}).get("timings", {}).items():
        _seconds[name] += times


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, and how much patience there was."""
    lines = summary()
    if lines:
        terminalreporter.write_line(f"limits: {patience():.1f} times those of an ordinary machine")
    for line in lines:
        terminalreporter.write_line(line)
