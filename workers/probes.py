"""Named points of the engine at which tests look, fail or hold a worker; free where nobody asked for them.

A test in the same process installs a handler. A real process holds where COMPUTECLOUD_GATE_DIR has a file of the
point's name: `<kind>.<step>.<point>` in a worker, `<kind>.accepted` in a web process between commit and dispatch. It
writes `<that name>.reached` with its pid and goes on when the file is gone. A file with words in it does not hold: it
is gone at once, and the step fails for good with these words.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from computecloud.config import CONFIG
from workers.retry import StepFailed

POINTS = ("taken", "done", "committed")
Handler = Callable[[str], None]
_handlers: list[Handler] = []


def reach(*words: str) -> None:
    """Tell whoever watches that the engine stands at the point of this name (undo steps: `undo-<name>`)."""
    if not _handlers and not CONFIG.gate_dir:
        return
    name = ".".join(words)
    for handler in list(_handlers):
        handler(name)
    if CONFIG.gate_dir:
        _hold(Path(CONFIG.gate_dir) / name)


def _hold(gate: Path) -> None:
    if not gate.exists():
        return
    words = gate.read_text()
    gate.with_name(gate.name + ".reached").write_text(str(os.getpid()))
    if words:
        gate.unlink()
        raise StepFailed(words)
    while gate.exists():
        time.sleep(0.01)


@contextmanager
def installed(handler: Handler) -> Iterator[None]:
    """Call handler at every point reached in this process, for as long as the block lasts."""
    _handlers.append(handler)
    try:
        yield
    finally:
        _handlers.remove(handler)
