"""Gates for tests: hold a worker just before or just after the effect of a driver call, so that it can be killed there.

A gate is a file `<call>.enter` or `<call>.leave` in the gate folder. Who comes to a gate that is there writes its pid
to `<gate>.reached` and waits until the gate is removed; `leave` is reached by calls that succeeded. A gate that holds
the word FAIL or FAIL_FOR_NOW fails the first call that comes, and is `<gate>.struck` from then on.
"""

import functools
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from hypervisors.driver import CallFailed, Driver

POLL_S = 0.01
FAIL, FAIL_FOR_NOW = "fail", "fail for now"
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
    with suppress(FileNotFoundError):  # another call was first
        if (words := gate.read_text()) in (FAIL, FAIL_FOR_NOW):
            gate.replace(gate.with_name(f"{gate.name}.struck"))
            raise CallFailed(f"made to fail at {gate.name}", retryable=words == FAIL_FOR_NOW)
    reached = gate.with_name(f"{gate.name}.reached")
    half = gate.with_name(f".{gate.name}.{os.getpid()}")
    half.write_text(str(os.getpid()))
    half.replace(reached)
    while gate.exists():
        time.sleep(POLL_S)
    reached.unlink(missing_ok=True)
