"""Audits: looks at the cloud or at a host that compare intent with fact, mend what differs, and record it.

Each room registers its audits by name. When one is due stands in a row, which operators edit; beat rings for all of
them, and whoever wins the row's conditional update rings for the one. An audit of the cloud is run by a control
worker, one of a host by the host's own worker, in the echo that comes through its queue. What differs is looked at
twice, for work that is under way looks like a difference; it is written down before it is mended.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog
from celery import current_app
from django.db import DatabaseError
from django.db.models import Q
from kombu.exceptions import OperationalError as BrokerError

from computecloud.wire.errors import InvalidInput, NotFound, Unavailable
from workers import clock, invariants, retry
from workers.invariants import Violation
from workers.models import AuditRun, AuditSchedule, Finding, Host, utc_now

log = structlog.get_logger()

TASK = "workers.audit"
BY_SCHEDULE = "schedule"
SHORTEST_S = 10  # beat rings no more often
SECOND_LOOK_AFTER_S = 1.0
WORTH_KEEPING_MAX = 500  # findings of one run that are mended and recorded; the next run goes on
State = AuditRun.State
Look = Callable[[str], Iterable[Violation | str]]


@dataclass(frozen=True, slots=True)
class Audit:
    """A look that is due every every_s seconds, until an operator says otherwise.

    look is given the host's name, empty for the cloud; it yields what differs, and words about what it did.
    """

    name: str
    title: str
    every_s: int
    look: Look
    on_host: bool = False


@dataclass(slots=True)
class _Memory:
    """What this process knows: the ring that each audit of its hosts was run for last, and those that run now."""

    served: dict[tuple[str, str], float] = field(default_factory=dict)
    running: set[tuple[str, str]] = field(default_factory=set)
    guard: threading.Lock = field(default_factory=threading.Lock)


_registry: dict[str, Audit] = {}
_memory = _Memory()


def register(audit: Audit) -> None:
    """Make an audit known by its name."""
    _registry[audit.name] = audit


def registered() -> dict[str, Audit]:
    """Return every audit by its name."""
    return dict(sorted(_registry.items()))


def get(name: str) -> Audit:
    """Return the audit of this name; raises NotFound."""
    if name not in _registry:
        raise NotFound(f"There is no audit {name}. There are: {', '.join(registered())}.")
    return _registry[name]


def schedules() -> list[AuditSchedule]:
    """Return a row for each registered audit, by name; what is new gets its own."""
    known = {row.name: row for row in AuditSchedule.objects.filter(name__in=_registry)}
    new = [
        AuditSchedule(name=one.name, every_s=one.every_s)
        for one in _registry.values()
        if one.name not in known
    ]
    if new:
        AuditSchedule.objects.bulk_create(new, ignore_conflicts=True)
        known = {row.name: row for row in AuditSchedule.objects.filter(name__in=_registry)}
    return [known[name] for name in sorted(known)]


def ring() -> None:
    """Ring for every audit that is due; called by beat's ring, in a control worker.

    A row's time that lies ahead was written before the clock was set back; it counts as due.
    """
    now = clock.now()
    for row in schedules():
        due = row.rung_at > now or now - row.rung_at >= row.every_s
        if row.enabled and due:
            _ring(row, now, BY_SCHEDULE)


def _ring(row: AuditSchedule, now: float, by: str) -> None:
    mine = AuditSchedule.objects.filter(name=row.name, rung_at=row.rung_at)
    if not mine.update(rung_at=now, rung_by=by):
        return  # another control worker was first
    audit = _registry[row.name]
    if not audit.on_host:
        _publish(audit.name, "", by)
        return
    for host in Host.objects.exclude(alive=True, forced_down=False):
        _note(audit, host.name, State.SKIPPED, by, f"host {host.name} is down")


def run_due(host: str) -> None:
    """Run the host's audits that were rung for since they ran here last; called by each echo, on the host itself."""
    on_host = [audit.name for audit in _registry.values() if audit.on_host]
    for row in AuditSchedule.objects.filter(name__in=on_host, rung_at__gt=0):
        if _memory.served.get((row.name, host)) != row.rung_at and (
            row.enabled or row.rung_by != BY_SCHEDULE
        ):
            _memory.served[row.name, host] = row.rung_at
            run(row.name, host=host, why=row.rung_by)


def ask(name: str, *, by: str, host: str = "") -> str:
    """Have an audit run now, on one host or, with none named, wherever it runs; returns in words what comes of it.

    Raises NotFound, InvalidInput for a host where it does not run, Unavailable where the host or the broker is down.
    """
    audit = get(name)
    if host and not audit.on_host:
        raise InvalidInput(f"Audit {name} looks at the whole cloud; name no host.")
    if host:
        found = Host.objects.filter(name=host).first()
        if found is None:
            raise NotFound(f"Host {host} could not be found.")
        if not found.is_up:
            _note(audit, host, State.SKIPPED, by, f"host {host} is down")
            raise Unavailable(f"Host {host} is down; audit {name} was not run there.")
    elif audit.on_host:
        row = next(row for row in schedules() if row.name == name)
        _ring(row, clock.now(), by)
        return f"audit {name} runs on every host that is up, within 10 s"
    if not _publish(name, host, by):
        raise Unavailable("The message broker does not answer at the moment. Try again later.")
    return f"audit {name} runs now{f' on {host}' if host else ''}"


def _publish(name: str, host: str, by: str) -> bool:
    queue = f"host.{host}" if host else "control"
    try:
        current_app.tasks[TASK].apply_async(args=(name, host, by), queue=queue, expires=60)
    except (BrokerError, OSError) as error:
        log.warning("audit.not_published", audit=name, host=host, error=str(error))
        return False
    return True


def run(
    name: str, *, host: str = "", why: str = BY_SCHEDULE, pause: Callable[[float], None] = time.sleep
) -> AuditRun | None:
    """Run an audit here and now and return its record; None where it runs in this process already, or nobody knows it.

    pause: how the time between the two looks is waited.
    """
    audit = _registry.get(name)
    if audit is None:  # a newer version's
        log.warning("audit.unknown", audit=name)
        return None
    with _memory.guard:
        if (name, host) in _memory.running:
            return None
        _memory.running.add((name, host))
    try:
        return _Looking(audit, host, why).run(pause)
    finally:
        _memory.running.discard((name, host))


@dataclass
class _Looking:
    """One run while it goes on; its record is written when there is something to say."""

    audit: Audit
    host: str
    why: str
    record: AuditRun | None = None
    mended: int = 0
    words: list[str] = field(default_factory=list)

    def run(self, pause: Callable[[float], None]) -> AuditRun:
        """Look, look again at what differs, mend it."""
        began = utc_now()
        try:
            found = self._look()
            if found:
                pause(SECOND_LOOK_AFTER_S)
                still = {violation.what: violation for violation in self._look()}
                found = [still[violation.what] for violation in found if violation.what in still]
            kept = sum(self._take(violation) for violation in found[:WORTH_KEEPING_MAX])
        except DatabaseError:
            raise
        except Exception as error:
            log.warning("audit.failed", audit=self.audit.name, host=self.host, exc_info=error)
            return _note(self.audit, self.host, State.FAILED, self.why, retry.in_words(error), began=began)
        said = "; ".join(self.words)
        if self.record is None or not kept:
            if self.record is not None:
                self.record.delete()
            return _note(self.audit, self.host, State.DONE, self.why, said, began=began)
        self.record.state, self.record.said = State.DONE, said
        self.record.found, self.record.mended, self.record.finished_at = kept, self.mended, utc_now()
        self.record.save()
        log.warning("audit.found", audit=self.audit.name, host=self.host, found=kept, mended=self.mended)
        return self.record

    def _look(self) -> list[Violation]:
        seen = list(self.audit.look(self.host))
        self.words += [one for one in seen if isinstance(one, str)]
        return [one for one in seen if isinstance(one, Violation)]

    def _take(self, violation: Violation) -> bool:
        """Write down a difference, then mend it; False where there is none any more."""
        if self.record is None:
            _lose(self.audit.name, self.host)
            self.record = AuditRun.objects.create(
                audit=self.audit.name, host=self.host, state=State.RUNNING, why=self.why
            )
        finding = Finding.objects.create(
            run=self.record,
            audit=self.audit.name,
            subject=violation.subject[:255],
            what=violation.what,
            cause=violation.cause,
            mended=False,
            advice=violation.mend,
        )
        if violation.fix is None:
            return True
        try:
            outcome = violation.fix()
        except DatabaseError:
            raise
        except Exception as error:
            log.warning("audit.not_mended", audit=self.audit.name, what=violation.what, exc_info=error)
            Finding.objects.filter(id=finding.id).update(advice=retry.in_words(error))
            return True
        if outcome is not None and not outcome:
            finding.delete()
            return False
        Finding.objects.filter(id=finding.id).update(mended=True, advice="")
        self.mended += 1
        return True


def _lose(name: str, host: str) -> None:
    """Say of earlier runs that still seem to go on that their worker died."""
    left = AuditRun.objects.filter(audit=name, host=host, state=State.RUNNING)
    left.update(state=State.LOST, finished_at=utc_now(), said="its worker died")


def _note(
    audit: Audit, host: str, state: AuditRun.State, why: str, said: str, *, began: object = None
) -> AuditRun:
    """Record a run that found nothing in the place of the last such one; one statement as a rule."""
    now = utc_now()
    values = {"state": state, "why": why[:255], "said": said, "started_at": began or now, "finished_at": now}
    quiet = Q(found=0) & ~Q(state=State.RUNNING) & ~Q(state=State.LOST)
    last = AuditRun.objects.filter(quiet, audit=audit.name, host=host)
    if last.update(**values):
        return last.order_by("-id")[0]
    return AuditRun.objects.create(audit=audit.name, host=host, **values)


def forget_old(before_s: float) -> int:
    """Remove the records from before a moment (seconds since 1970); returns how many."""
    before = clock.moment(before_s)
    removed = AuditRun.objects.filter(started_at__lt=before).delete()[0]
    return removed + Finding.objects.filter(run=None, created_at__lt=before).delete()[0]


def of_checks(*names: str) -> Look:
    """Return a look at the invariants of these names."""
    return lambda _host: invariants.of(*names)
