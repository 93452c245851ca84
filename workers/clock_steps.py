"""Puts right what a stepped wall clock spoils: no operation is undone, none waits an hour, no dead lease lives on.

The distance between the wall clock and the monotonic one is the same in every process of a machine. It is kept in a
row; whoever finds that it has changed, and wins the row, moves the ledger's times by as much. A machine that slept
looks the same, and is treated so: its operations had no time to work either. Where the clocks of several machines are
stepped together, the first that notices it moves the times for all.
"""

import structlog
from django.db import transaction

from computecloud.config import CONFIG
from workers import clock, pulse, sql
from workers.models import MachineClock, Pulse

log = structlog.get_logger()

STEP_S = 10.0  # less than this is drift, and harms nobody
LONGEST_WAIT_S = 60.0  # no back-off and no Wait is longer

# What was accepted since the step has times of the new clock already. A step frees no lease: it gives each one period.
_MOVE = """
UPDATE workers_operation SET
    deadline = CASE WHEN created_at BETWEEN %(fresh)s AND %(today)s THEN deadline ELSE deadline + %(step_s)s END,
    dispatched_at = CASE WHEN created_at BETWEEN %(fresh)s AND %(today)s THEN dispatched_at
                         ELSE dispatched_at + %(step_s)s END,
    run_after = CASE WHEN run_after > %(now)s THEN run_after + %(step_s)s ELSE run_after END,
    lease_until = CASE WHEN lease_token IS NULL THEN lease_until ELSE %(lease_end)s END
WHERE state IN ('pending', 'running', 'undoing') OR lease_token IS NOT NULL
"""

# Times that no clock which agrees with ours can have written, such as those of a machine that ran ahead.
_CLAMPS = (
    """UPDATE workers_operation SET run_after = %(latest)s
    WHERE state IN ('pending', 'running', 'undoing') AND run_after > %(latest)s""",
    """UPDATE workers_operation SET dispatched_at = %(now)s
    WHERE state IN ('pending', 'running', 'undoing') AND dispatched_at > %(latest)s""",
    """UPDATE workers_operation SET lease_until = %(lease_end)s
    WHERE lease_token IS NOT NULL AND lease_until > %(lease_latest)s""",
)


def correct() -> float:
    """Move the ledger's times where this machine's clock was stepped, and clamp what lies too far ahead.

    Returns by how many seconds they were moved. Called at the beginning of each sweep.
    """
    step_s = notice()
    now = clock.now()
    lease_end = now + CONFIG.lease_s
    times = {
        "now": now,
        "latest": now + LONGEST_WAIT_S,
        "lease_end": lease_end,
        "lease_latest": lease_end + STEP_S,
    }
    for clamp in _CLAMPS:
        sql.execute(clamp, times)
    return step_s


def notice() -> float:
    """Move the ledger's times where this machine's clock was stepped; returns by how many seconds they were moved."""
    machine, boot_id, offset_s = CONFIG.host, clock.boot_id(), clock.offset_s()
    known = MachineClock.objects.filter(name=machine).first()
    if known is None or known.boot_id != boot_id:
        values = {"boot_id": boot_id, "offset_s": offset_s}
        MachineClock.objects.update_or_create(name=machine, defaults=values)
        return 0.0
    return move(known, offset_s) if abs(offset_s - known.offset_s) >= STEP_S else 0.0


def move(known: MachineClock, offset_s: float) -> float:
    """Move the ledger's times by how far the clock is from what was known.

    Returns 0.0 where another sweeper has done it, of this machine or of one whose clock was stepped together with it.
    """
    step_s, now = offset_s - known.offset_s, clock.now()
    with transaction.atomic():
        mine = MachineClock.objects.filter(name=known.name, offset_s=known.offset_s)
        if not mine.update(offset_s=offset_s) or not _is_first(step_s, now):
            return 0.0
        sql.execute(
            _MOVE,
            {
                "step_s": step_s,
                "now": now,
                "fresh": clock.moment(now - STEP_S),
                "today": clock.moment(now),
                "lease_end": now + CONFIG.lease_s,
            },
        )
    log.warning("clock.stepped", by_s=round(step_s, 1))
    return step_s


def _is_first(step_s: float, now: float) -> bool:
    """Tell whether the ledger is in the time from before the step, as is beat's heart, and mark that it is no more.

    Beat's heart is beaten every 10 s, by whichever machine, after that has looked at its own clock.
    """
    while heard := Pulse.objects.filter(name=pulse.BEAT).first():
        if abs(now - heard.at.timestamp()) < abs(step_s) / 2:
            return False
        if Pulse.objects.filter(name=pulse.BEAT, at=heard.at).update(at=clock.moment(now)):
            break
    return True
