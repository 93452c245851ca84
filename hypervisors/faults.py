"""Planned failures and delays of a driver that can have them (the fake one)."""

import enum
import threading
from dataclasses import dataclass, field


class Moment(enum.Enum):
    """When a fault strikes, seen from the effect of the call."""

    BEFORE = "before"  # nothing is changed
    AFTER = "after"  # the effect is there, the caller hears of an error
    INSTEAD = (
        "instead"  # nothing is changed, the caller hears of success (a guest that ignores its power button)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One failure: of the nth call of that name from now on (any node, or one), waiting delay_s first."""

    call: str
    nth: int = 1
    when: Moment = Moment.BEFORE
    error: BaseException | None = None
    delay_s: float = 0.0
    node: str | None = None


@dataclass(slots=True)
class FaultPlan:
    """Faults still to strike, and those that did: a test asserts that its fault is in `fired`."""

    fired: list[Fault] = field(default_factory=list)
    _waiting: list[tuple[Fault, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plant(self, fault: Fault) -> Fault:
        """Add a fault, counting calls from now on, and return it."""
        with self._lock:
            self._waiting.append((fault, fault.nth))
        return fault

    def clear(self) -> None:
        """Forget the faults that have not struck."""
        with self._lock:
            self._waiting.clear()

    def strike(self, call: str, node: str) -> Fault | None:
        """Count a call and return the fault that strikes it, if one does; a fault strikes once."""
        if not self._waiting:
            return None
        struck: Fault | None = None
        with self._lock:
            kept: list[tuple[Fault, int]] = []
            for fault, left in self._waiting:
                mine = fault.call == call and fault.node in (None, node)
                if mine and left <= 1 and struck is None:
                    struck = fault
                    self.fired.append(fault)
                else:
                    kept.append((fault, max(1, left - 1) if mine else left))
            self._waiting[:] = kept
        return struck
