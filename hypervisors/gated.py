"""Gates for tests: hold a worker just before or just after the effect of a driver call, so that it can be killed there.

A gate is a file `<call>.enter` or `<call>.leave` in the gate folder. Who comes to a gate that is there writes its pid
to `<gate>.reached` and waits until the gate is removed; `leave` is reached by calls that succeeded.
"""

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from hypervisors.driver import Driver

POLL_S = 0.01
CALLS = frozenset(
    name for name, member in vars(Driver).items() if callable(member) and not name.startswith("_")
)


def gated(driver: Driver, gate_dir: Path) -> Driver:
    """Return the driver with a gate before and after each call of the contract."""
    return cast(Driver, _Gated(driver, gate_dir))


class _Gated:
    """Stands for a driver; all that is not a call of the contract goes straight through."""

    def __init__(self, driver: Driver, gate_dir: Path) -> None:
        self._driver = driver
        self._gate_dir = gate_dir

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._driver, name)
        return self._with_gates(name, member) if name in CALLS else member

    def _with_gates(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def held(*args: Any, **named: Any) -> Any:
            _pass(self._gate_dir / f"{name}.enter")
            result = call(*args, **named)
            _pass(self._gate_dir / f"{name}.leave")
            return result

        return held


def _pass(gate: Path) -> None:
    if not gate.exists():
        return
    reached = gate.with_name(f"{gate.name}.reached")
    half = gate.with_name(f".{gate.name}.{os.getpid()}")
    half.write_text(str(os.getpid()))
    half.replace(reached)
    while gate.exists():
        time.sleep(POLL_S)
    reached.unlink(missing_ok=True)
