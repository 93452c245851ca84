"""Which hosts live: a counter that a thread of each host's process writes straight to the database.

The observer compares counters on its own monotonic clock, so no two machines' clocks are ever compared. An echo
through the host's queue tells "alive but not consuming". A silence counts as far as it was watched: where the observer
could not look, as in an outage of the database, no host could be heard either. If more than a third of the hosts fall
silent together, nobody is declared dead: the fault is ours. A host that was given up on says itself when it is alive
again: it has something to clean up first.
"""

import time
from dataclasses import dataclass

import structlog

from computecloud.config import CONFIG
from workers import events, sql
from workers.models import Host, utc_now

log = structlog.get_logger()

MASS_SILENCE = 1 / 3
WATCHED = 1 / 2  # of the silence that a host dies of: no more of it counts between two looks,
LOOKS_S = 20.0  # or than this, two intervals of looking; several control workers share the looks


@dataclass(slots=True)
class Sight:
    """What the observer last saw of a host, when (monotonic seconds), and for how long it has watched that stay."""

    counter: int
    seen_at_s: float
    silent_s: float = 0.0


_BEAT = """
UPDATE workers_host SET counter = counter + 1, heartbeat_at = %(at)s WHERE name = %(host)s
RETURNING alive, forced_down
"""
_sights: dict[str, Sight] = {}


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
    """Have the host count as alive; called by its own process, when it has cleaned up."""
    Host.objects.filter(name=host, forced_down=False).update(alive=True)


def observe(*, now_s: float | None = None) -> list[Host]:
    """Compare every counter with what was seen before, and write who lives; returns the hosts to echo."""
    Host.objects.filter(forced_down=True).update(alive=False)
    hosts = list(Host.objects.filter(forced_down=False))
    now_s = time.monotonic() if now_s is None else now_s
    silent = [host for host in hosts if _silent_s(host, now_s) > CONFIG.host_dead_after_s]
    dying = [host for host in silent if host.alive]
    if len(hosts) > 2 and len(dying) > len(hosts) * MASS_SILENCE:
        log.error("hosts.silent_together", silent=len(dying), of=len(hosts))
        dying = []
    for host in dying:
        if not Host.objects.filter(id=host.id, counter=host.counter).update(alive=False):
            continue  # it has just been heard
        log.warning("host.dead", host=host.name)
        events.emit("host.dead", host=host.name)
    alive = [host for host in hosts if host not in silent]
    for host in alive:
        host.echo_sent += 1
        Host.objects.filter(id=host.id).update(echo_sent=host.echo_sent)
    return alive


def heard(host: str, number: int) -> None:
    """Note that an echo came through the host's queue."""
    Host.objects.filter(name=host, echo_heard__lt=number).update(echo_heard=number)


def _silent_s(host: Host, now_s: float) -> float:
    sight = _sights.get(host.name)
    if sight is None or sight.counter != host.counter:
        _sights[host.name] = Sight(host.counter, now_s)
        return 0.0
    watched_s = max(CONFIG.host_dead_after_s * WATCHED, LOOKS_S)
    sight.silent_s += min(now_s - sight.seen_at_s, watched_s)
    sight.seen_at_s = now_s
    return sight.silent_s
