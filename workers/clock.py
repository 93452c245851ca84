"""The engine's time, in seconds since 1970, and which run of the machine it is told in.

A wall clock may be stepped; workers.clock_steps puts right what that spoils. What is compared within one process
(a baton's age) goes by the monotonic clock instead. Machines' clocks must agree to within a lease.
"""

import time
from datetime import UTC, datetime
from pathlib import Path

from computecloud.config import CONFIG

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def now() -> float:
    """Return the wall clock's time."""
    return time.time()


def moment(seconds: float) -> datetime:
    """Return a time of this clock as a moment, aware."""
    return datetime.fromtimestamp(seconds, UTC)


def offset_s() -> float:
    """Return how far the wall clock is ahead of the machine's monotonic one; a step of the wall clock changes it."""
    return now() - time.monotonic()


def boot_id() -> str:
    """Return a name that is this machine's until it is started again."""
    return CONFIG.boot_id or _BOOT_ID.read_text().strip()
