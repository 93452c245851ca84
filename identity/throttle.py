"""Failed log-ins of one account from one source: counted in rows, so that all web processes count together."""

import hashlib
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F

from computecloud.config import CONFIG
from computecloud.wire.errors import TooManyRequests
from identity.models import LoginFailure


class TooManyFailures(TooManyRequests):
    """The account has failed too often from this source (429)."""


def key(account: str, source: str) -> str:
    """Return the name of a counter; neither account nor source can be read from it."""
    return hashlib.sha256(f"{account}\n{source}".encode()).hexdigest()


def check(counter: str) -> None:
    """Raise TooManyFailures while the counter is full."""
    now = datetime.now(UTC)
    row = LoginFailure.objects.filter(key=counter, count__gte=CONFIG.login_failures_max).first()
    if row is None:
        return
    left = (row.began_at + _window() - now).total_seconds()
    if left > 0:
        wait = max(1, int(left))
        raise TooManyFailures(f"Too many failed log-ins. Try again in {wait} s.", retry_after_s=wait)


def note_failure(counter: str) -> None:
    """Count one failure; an old counter begins anew."""
    now = datetime.now(UTC)
    since = now - _window()
    rows = LoginFailure.objects.filter(key=counter)
    if rows.filter(began_at__gt=since).update(count=F("count") + 1):
        return
    if rows.filter(began_at__lte=since).update(count=1, began_at=now):
        return
    delete_expired()  # here, so that the table stays as small as the window
    try:
        with transaction.atomic():
            LoginFailure.objects.create(key=counter, began_at=now)
    except IntegrityError:  # another process was first
        rows.update(count=F("count") + 1)


def clear(counter: str) -> None:
    """Forget the failures: the account has logged in."""
    LoginFailure.objects.filter(key=counter).delete()


def delete_expired() -> int:
    """Delete counters that no longer count; return how many."""
    return LoginFailure.objects.filter(began_at__lt=datetime.now(UTC) - _window()).delete()[0]


def _window() -> timedelta:
    return timedelta(seconds=CONFIG.login_window_s)
