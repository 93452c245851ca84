"""Which tokens are void before they expire: rows, held in memory and read anew at most every second."""

import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from computecloud.config import CONFIG
from computecloud.wire.caller import Caller
from identity.models import Revocation

REFRESH_S = 1.0
SYSTEM = "system"  # the scope of a grant in the whole cloud
_FOR_GOOD = timedelta(days=3_650)
OVERLAP = timedelta(seconds=60)  # rows may become visible later than younger ones, and clocks differ


class _Memory:
    """This process's copy of the rows: key → the moment until which its tokens are void."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.before: dict[str, float] = {}
        self.read_at: float | None = None
        self.newest: datetime | None = None


_memory = _Memory()


def revoke_token(caller: Caller) -> None:
    """Make one token void."""
    _add(f"audit:{caller.audit_id}", caller.expires_at)


def revoke_user(user_id: str) -> None:
    """Make every token that the user has now void: password change, disabling, deletion."""
    _add(f"user:{user_id}")


def revoke_project(project_id: str) -> None:
    """Make every token scoped to the project void: disabling, deletion."""
    _add(f"project:{project_id}")


def revoke_domain(domain_id: str) -> None:
    """Make every token of the domain's users, and scoped to it or its projects, void."""
    _add(f"domain:{domain_id}")


def revoke_grant(user_id: str, scope_id: str) -> None:
    """Make the user's tokens of this project or domain void: a role was taken away."""
    _add(f"grant:{user_id}:{scope_id}")


def revoke_grants(grants: Iterable[tuple[str, str]]) -> None:
    """Make the tokens of many users and scopes void: a group lost a role, or members."""
    _add_all(f"grant:{user_id}:{scope_id}" for user_id, scope_id in grants)


def revoke_credential(credential_id: str) -> None:
    """Make every token that came from an application credential void: it was deleted."""
    _add(f"credential:{credential_id}")


def revoke_keys(key_ids: Iterable[str]) -> None:
    """Make every token void that is or will be signed with these keys, whatever time it says: they were stolen."""
    end = datetime.now(UTC) + _FOR_GOOD
    _add_all((f"key:{key_id}" for key_id in key_ids), before=end.timestamp(), expires_at=end)


def is_revoked(caller: Caller) -> bool:
    """Tell whether a token is void, as of at most REFRESH_S ago; at once for what this process revoked."""
    _refresh()
    before = _memory.before
    if not before:
        return False
    made = caller.issued_at.timestamp()
    return any(made <= before.get(key, 0.0) for key in _keys(caller))


def forget() -> None:
    """Empty this process's memory, so that the next check reads all rows."""
    with _memory.lock:
        _memory.before = {}
        _memory.newest = None
        _memory.read_at = None


def assume_current() -> None:
    """Take what is known as just read, so that tests can count the queries of a request."""
    _memory.read_at = time.monotonic()


def delete_expired() -> int:
    """Delete rows whose tokens have all expired; return how many."""
    return Revocation.objects.filter(expires_at__lt=datetime.now(UTC) - OVERLAP).delete()[0]


def _keys(caller: Caller) -> list[str]:
    scope = caller.project_id or caller.scope_domain_id or (SYSTEM if caller.is_system else None)
    keys = [f"audit:{caller.audit_id}", f"user:{caller.user_id}", f"domain:{caller.user_domain_id}"]
    keys.append(f"key:{caller.key_id}")
    if caller.credential is not None:
        keys.append(f"credential:{caller.credential.id}")
    if scope:
        keys += [f"project:{scope}", f"domain:{caller.domain_id}", f"grant:{caller.user_id}:{scope}"]
    return keys


def _add(key: str, expires_at: datetime | None = None) -> None:
    _add_all([key], expires_at=expires_at)


def _add_all(keys: Iterable[str], *, before: float | None = None, expires_at: datetime | None = None) -> None:
    now = time.time()
    before = now if before is None else before
    end = expires_at or datetime.fromtimestamp(now, UTC) + timedelta(seconds=CONFIG.token_lifetime_s)
    delete_expired()
    wanted = list(dict.fromkeys(keys))
    Revocation.objects.bulk_create(
        [Revocation(key=key, before=before, expires_at=end) for key in wanted], batch_size=500
    )
    with _memory.lock:
        for key in wanted:
            _memory.before[key] = max(before, _memory.before.get(key, 0.0))


def _refresh() -> None:
    read_at = _memory.read_at
    if read_at is not None and time.monotonic() - read_at < REFRESH_S:
        return
    # While one thread reads anew the others go on with what is known; but nobody goes on with nothing.
    if not _memory.lock.acquire(blocking=read_at is None):
        return
    try:
        if _memory.read_at != read_at:
            return
        began = time.monotonic()
        rows = Revocation.objects.all()
        if _memory.newest is not None:
            rows = rows.filter(created_at__gt=_memory.newest - OVERLAP)
        for key, before, created_at in rows.values_list("key", "before", "created_at"):
            _memory.before[key] = max(before, _memory.before.get(key, 0.0))
            _memory.newest = max(created_at, _memory.newest or created_at)
        oldest = time.time() - CONFIG.token_lifetime_s
        _memory.before = {key: before for key, before in _memory.before.items() if before > oldest}
        _memory.read_at = began
    finally:
        _memory.lock.release()
