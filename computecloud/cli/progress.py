"""What the newcomer sees while waiting: one line a step, with its time; a spinner where there is a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.status import Status

from computecloud.cli.failures import Failure

QUIET_S = 5.0  # without a terminal, a wait says something this often
POLL_S = 0.05


@dataclass
class Step:
    """One step under way; `note` is what its line ends with."""

    name: str
    console: Console
    status: Status | None
    began_s: float = field(default_factory=time.monotonic)
    note: str = ""
    _told_s: float = 0.0

    @property
    def elapsed_s(self) -> float:
        """Return how long the step has taken."""
        return time.monotonic() - self.began_s

    def tell(self, text: str) -> None:
        """Say what is going on; without a terminal only now and then."""
        if self.status is not None:
            self.status.update(f"{self.name}: {text} ({self.elapsed_s:.0f} s)")
        elif self.elapsed_s - self._told_s >= QUIET_S:
            self._told_s = self.elapsed_s
            self.console.print(
                f"  … {self.name}: {text} ({self.elapsed_s:.0f} s)", highlight=False, markup=False
            )

    def wait(
        self, ready: Callable[[], bool], *, seconds: float, what: str, otherwise: Callable[[], Failure]
    ) -> None:
        """Wait until ready() is true, telling what for; raises otherwise() when the time is over."""
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise otherwise()
            self.tell(what)
            time.sleep(POLL_S)


class Progress:
    """Prints the steps of a command."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.began_s = time.monotonic()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show a step while the block runs, and its time when it ends well."""
        if self.console.is_terminal:
            with self.console.status(name) as status:
                step = Step(name, self.console, status)
                yield step
        else:
            step = Step(name, self.console, None)
            yield step
        note = f"[dim]{step.note}[/dim]" if step.note else ""
        self.console.print(f"  [green]✓[/green] {name:<34} {step.elapsed_s:6.1f} s  {note}")

    def say(self, text: str = "") -> None:
        """Print a line as it is."""
        self.console.print(text, markup=False)

    @property
    def elapsed_s(self) -> float:
        """Return the time since the command began."""
        return time.monotonic() - self.began_s
