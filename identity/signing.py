"""The keys that tokens are signed with: rows, held in memory; the first one is made from the settings.

Who signs looks at most every second whether there is a newer key. Who checks looks when a token names a key that is not
known yet, at most once a second too, so a check asks the database nothing. A new key signs only when that second is
over everywhere. Keys that the operator sets (`token_keys`) are the only ones.
"""

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.db import transaction

from computecloud.config import CONFIG
from computecloud.wire.errors import Conflict
from identity import revocation
from identity.models import SigningKey

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

log = structlog.get_logger()
REFRESH_S = 1.0
SETTLES = timedelta(seconds=5)  # a new key signs after this: whoever checks finds it by then
SPARE = timedelta(seconds=60)  # clocks differ, and another process signs with the old key a moment longer


class KeysAreSet(Conflict):
    """The keys stand in the settings, so they are rotated there (409)."""


@dataclass(frozen=True, slots=True)
class Known:
    """The keys by their ids; `signs` is the one for new tokens, `until` says when an old one ends (since 1970)."""

    signs: str
    keys: Mapping[str, bytes]
    until: Mapping[str, float] = field(default_factory=dict)


class _Memory:
    """This process's copy of the keys."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.known: Known | None = None
        self.read_at = 0.0


_memory = _Memory()


def signing_key() -> tuple[str, bytes]:
    """Return the id and the key for a new token, as of at most REFRESH_S ago."""
    known = _read(max_age_s=REFRESH_S)
    return known.signs, known.keys[known.signs]


def checking_key(key_id: str) -> bytes | None:
    """Return a key by its id; None where there is none, or where all its tokens have expired."""
    known = _memory.known or _read(max_age_s=REFRESH_S)
    if key_id not in known.keys:
        known = _read(max_age_s=REFRESH_S)
    key = known.keys.get(key_id)
    return None if key is None or time.time() > known.until.get(key_id, float("inf")) else key


def rotate(*, at_once: bool = False) -> str:
    """Make a new key and return its id; it signs when it is SETTLES old.

    The others check for as long as a token of theirs can live. `at_once`: they check nothing any more, as where one was
    stolen, and the new one signs at once: everybody must log in again.
    Raises KeysAreSet where the operator sets the keys.
    """
    if CONFIG.token_keys:
        raise KeysAreSet(
            "The signing keys are set by COMPUTECLOUD_TOKEN_KEYS. Put a new one in front of them there, and drop the "
            "old one after a token's life."
        )
    now = datetime.now(UTC)
    life = timedelta(0) if at_once else timedelta(seconds=CONFIG.token_lifetime_s) + SPARE
    key = secrets.token_bytes(32)
    with transaction.atomic():
        for key_id in _from_settings():
            SigningKey.objects.get_or_create(id=key_id, defaults={"created_at": now - SETTLES - SPARE})
        others = SigningKey.objects.filter(expires_at=None)
        if at_once:
            others = SigningKey.objects.all()
            revocation.revoke_keys(others.values_list("id", flat=True))
        others.update(expires_at=now + life)
        made = now - SETTLES if at_once else now
        SigningKey.objects.create(id=_id(key), sealed=_cipher().encrypt(key).decode(), created_at=made)
    forget()
    log.info("token_key.rotated", key_id=_id(key), at_once=at_once)
    return _id(key)


def listed() -> list[SigningKey]:
    """Return the rows, the newest first; none before the first rotation."""
    return list(SigningKey.objects.order_by("-created_at"))


def delete_expired() -> int:
    """Delete the keys whose tokens have all expired; return how many. What is made from the settings stays retired."""
    old = SigningKey.objects.filter(expires_at__lt=datetime.now(UTC) - SPARE)
    return old.exclude(sealed="").delete()[0]


def forget() -> None:
    """Empty this process's memory, so that the next token reads the rows."""
    with _memory.lock:
        _memory.known = None


def assume_current() -> None:
    """Take the settings' key for all that there is, so that tests can count the queries of a request."""
    keys = _from_settings()
    with _memory.lock:
        _memory.known, _memory.read_at = Known(next(iter(keys)), keys), time.monotonic()


def _read(*, max_age_s: float) -> Known:
    known = _memory.known
    if known is not None and time.monotonic() - _memory.read_at < max_age_s:
        return known
    # While one thread reads anew the others go on with what is known; but nobody goes on with nothing.
    if not _memory.lock.acquire(blocking=known is None):
        assert known is not None
        return known
    try:
        if _memory.known is None or _memory.known is known:
            began = time.monotonic()
            _memory.known = _assembled()
            _memory.read_at = began
        return _memory.known
    finally:
        _memory.lock.release()


def _assembled() -> Known:
    keys = _from_settings()
    first = next(iter(keys))
    if CONFIG.token_keys:
        return Known(first, keys)
    signs, until = first, {}
    now = datetime.now(UTC)
    rows = SigningKey.objects.order_by("created_at").values_list("id", "sealed", "created_at", "expires_at")
    for key_id, sealed, created_at, expires_at in rows:
        key = _opened(key_id, sealed) if sealed else None
        if key is not None:
            keys[key_id] = key
        if expires_at is not None:
            until[key_id] = expires_at.timestamp()
        if key is not None and created_at + SETTLES <= now and (expires_at is None or expires_at > now):
            signs = key_id
    return Known(signs, keys, until)


def _from_settings() -> dict[str, bytes]:
    given = [part.strip().encode() for part in CONFIG.token_keys.split(",") if part.strip()]
    secret = CONFIG.secret_key or f"insecure {CONFIG.state_dir}"
    keys = [hmac.digest(part, b"token signing", "sha256") for part in given or [secret.encode()]]
    return {_id(key): key for key in keys}


def _id(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:8]


def _opened(key_id: str, sealed: str) -> bytes | None:
    from cryptography.fernet import InvalidToken

    try:
        return _cipher().decrypt(sealed.encode())
    except InvalidToken:
        log.warning("token_key.not_readable", key_id=key_id)  # the secret key is another one now
        return None


def _cipher() -> "Fernet":
    from cryptography.fernet import Fernet  # 7 MiB that a cloud whose keys were never rotated does not need

    digest = hashlib.sha256(b"token keys " + str(settings.SECRET_KEY).encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
