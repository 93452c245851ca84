"""Which hosts live: a counter that a thread of each host's process writes straight to the database.

Observers keep in the database what they saw and go by its clock: no two machines' clocks are ever compared, and several
control workers, or one that was just started, go on with one watch. An echo through the host's queue tells "alive but
not consuming". A silence counts as far as it was watched: where nobody could look, as in an outage of the database, no
host could be heard either. Where more than a third of the hosts fall silent together, none is declared dead: the fault
is ours. A host that was given up on says itself when it is alive again: it has something to clean up first.
"""

import structlog
from django.db import connection
from django.db.models import F

from computecloud.config import CONFIG
from workers import events, sql
from workers.models import Host, utc_now

log = structlog.get_logger()

MASS_SILENCE = 1 / 3
WATCHED_S = 20.0  # two intervals of looking: no more counts as silence between two looks

_BEAT = """
UPDATE workers_host SET counter = counter + 1, heartbeat_at = %(at)s WHERE name = %(host)s
RETURNING alive, forced_down
"""
_NOW_S = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch FROM clock_timestamp())::float8",
}
# Who holds the row of one host keeps no heartbeat of another waiting: that host is left out of this look.
_NOT_HELD = {
    "sqlite": "TRUE",
    "postgresql": "id IN (SELECT id FROM workers_host FOR NO KEY UPDATE SKIP LOCKED)",
}
_LOOK = """
UPDATE workers_host SET
    silent_s = CASE
        WHEN looked_at_s IS NULL OR seen_counter <> counter THEN 0
        WHEN looked_at_s > {now_s} THEN silent_s
        WHEN {now_s} - looked_at_s > %(watched_s)s THEN silent_s + %(watched_s)s
        ELSE silent_s + {now_s} - looked_at_s
    END,
    seen_counter = counter, looked_at_s = {now_s}
WHERE {not_held}
"""
_ECHO = """
UPDATE workers_host SET echo_sent = echo_sent + 1
WHERE NOT forced_down AND silent_s <= %(dead_after_s)s AND {not_held} RETURNING name, echo_sent
"""


def is_up(host: str) -> bool:
    """Tell whether operations may be sent to this host."""
    return Host.objects.filter(name=host, alive=True, forced_down=False).exists()


def beat(host: str) -> bool:
    """Raise a host's counter; called by its own process only. Returns whether the host was given up on meanwhile."""
    given_up = False
    for alive, forced_down in sql.fetch(_BEAT, {"host": host, "at": utc_now()}):
        given_up = not alive and not forced_down
    return given_up


def revive(host: str) -> None:
    """Have the host count as alive; called by its own process, when it has cleaned up, which may have taken long."""
    Host.objects.filter(name=host, forced_down=False).update(
        alive=True, silent_s=0.0, counter=F("counter") + 1
    )


def observe(*, now_s: float | None = None) -> list[tuple[str, int]]:
    """Compare every counter with what was seen before, and write who lives; returns whom to echo, with its number.

    now_s is for tests: a time in seconds, instead of that of the database's clock.
    """
    Host.objects.filter(forced_down=True).update(alive=False)
    now = _NOW_S[connection.vendor] if now_s is None else "%(now_s)s"
    not_held = _NOT_HELD[connection.vendor]
    sql.execute(_LOOK.format(now_s=now, not_held=not_held), {"now_s": now_s, "watched_s": WATCHED_S})
    known = Host.objects.filter(forced_down=False).count()
    silent = Host.objects.filter(alive=True, silent_s__gt=CONFIG.host_dead_after_s, counter=F("seen_counter"))
    dying = list(silent)
    if known > 2 and len(dying) > known * MASS_SILENCE:
        log.error("hosts.silent_together", silent=len(dying), of=known)
        dying = []
    for host in dying:
        if not silent.filter(id=host.id).update(alive=False):
            continue  # it has just been heard, or another observer was first
        log.warning("host.dead", host=host.name)
        events.emit("host.dead", host=host.name)
    echo = sql.fetch(_ECHO.format(not_held=not_held), {"dead_after_s": CONFIG.host_dead_after_s})
    return [(name, number) for name, number in echo]


def heard(host: str, number: int) -> None:
    """Note that an echo came through the host's queue."""
    Host.objects.filter(name=host, echo_heard__lt=number).update(echo_heard=number)
