"""What has expired is removed: records of void tokens and failed log-ins, sessions, Idempotency-Keys, old records."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from django.contrib.sessions.models import Session

from computecloud.config import CONFIG
from identity import revocation, signing, throttle
from workers import audits, clock, idempotency
from workers.models import utc_now

DAY_S = timedelta(days=1).total_seconds()


def _sessions() -> int:
    return Session.objects.filter(expire_date__lt=utc_now()).delete()[0]


def _audit_records() -> int:
    return audits.forget_old(clock.now() - CONFIG.audit_records_kept_days * DAY_S)


REMOVALS: dict[str, Callable[[], int]] = {
    "records of void tokens": revocation.delete_expired,
    "signing keys": signing.delete_expired,
    "counts of failed log-ins": throttle.delete_expired,
    "sessions": _sessions,
    "Idempotency-Keys": idempotency.forget_old,
    "records of audits": _audit_records,
}


def look(_host: str) -> Iterator[str]:
    """Remove what has expired, and say how many of what."""
    for words, remove in REMOVALS.items():
        if removed := remove():
            yield f"removed {removed} {words}"


audits.register(
    audits.Audit("expiry", "removes what has expired: tokens, sessions, keys, old records", 300, look)
)
