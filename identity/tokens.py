"""Signed tokens: made from what the database says, checked without asking it."""

import base64
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import jwt

from computecloud.config import CONFIG
from computecloud.wire.caller import Caller, Credential
from computecloud.wire.errors import Unauthenticated
from identity import revocation, signing

ALGORITHM = "HS256"
UNKNOWN = secrets.token_bytes(32)  # no token is signed with it
AHEAD_S = 60.0  # a token may be so much younger than now: clocks differ


class InvalidToken(Unauthenticated):
    """The token is malformed, not ours, expired or revoked (401)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a new token is to say; of project_id, scope_domain_id and is_system at most one is set."""

    user_id: str
    user_name: str
    user_domain_id: str
    roles: tuple[str, ...] = ()
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    scope_domain_id: str | None = None
    is_system: bool = False
    methods: tuple[str, ...] = ("password",)
    parent_audit_id: str = ""
    credential: Credential | None = None


def issue(grant: Grant, *, at: float | None = None, expires_at: float | None = None) -> str:
    """Return a token for the grant, good for the configured time.

    `at` is when what it says was read, `expires_at` the latest end; both in seconds since 1970.
    """
    now = time.time() if at is None else at
    end = now + CONFIG.token_lifetime_s
    credential = grant.credential
    payload = {
        "sub": grant.user_id,
        "un": grant.user_name,
        "ud": grant.user_domain_id,
        "p": grant.project_id,
        "pn": grant.project_name,
        "pd": grant.project_domain_id,
        "d": grant.scope_domain_id,
        "s": grant.is_system or None,
        "c": [credential.id, credential.name, credential.restricted] if credential else None,
        "cr": credential.rules if credential else None,
        "r": sorted(grant.roles),
        "m": grant.methods,
        "a": base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("="),
        "pa": grant.parent_audit_id or None,
        "iat": now,
        "exp": int(end if expires_at is None else min(end, expires_at)),
    }
    kid, key = signing.signing_key()
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, key, ALGORITHM, {"kid": kid})


def check(token: str) -> Caller:
    """Return who the token speaks for; raises InvalidToken."""
    caller = _read(token)
    now = time.time()
    # The configured lifetime counts too: revocations are forgotten after it, also when it was lowered meanwhile.
    made = caller.issued_at.timestamp()
    if made > now + AHEAD_S or now >= min(caller.expires_at.timestamp(), made + CONFIG.token_lifetime_s):
        raise InvalidToken("The token has expired. Log in again.")
    if revocation.is_revoked(caller):
        raise InvalidToken("The token has been revoked. Log in again.")
    return caller


@lru_cache(maxsize=4_096)
def _read(token: str) -> Caller:
    """Return what a token with a right signature says; expiry and revocation are for the caller to check."""
    try:
        kid = str(jwt.get_unverified_header(token)["kid"])
        payload = jwt.decode(
            token,
            signing.checking_key(kid) or UNKNOWN,
            [ALGORITHM],
            {"verify_exp": False, "verify_iat": False, "verify_sub": False, "require": ["exp", "iat", "sub"]},
        )
        return _caller(payload, kid)
    except (jwt.PyJWTError, KeyError, ValueError, TypeError):
        raise InvalidToken("The request you have made requires authentication.") from None


def _caller(payload: dict[str, Any], kid: str) -> Caller:
    roles = frozenset(payload["r"])
    credential = payload.get("c")
    rules = payload.get("cr")
    return Caller(
        user_id=payload["sub"],
        user_name=payload["un"],
        user_domain_id=payload["ud"],
        project_id=payload.get("p"),
        project_name=payload.get("pn"),
        domain_id=payload.get("pd") or payload.get("d") or payload["ud"],
        scope_domain_id=payload.get("d"),
        is_system=payload.get("s", False),
        roles=roles,
        is_admin="admin" in roles,
        audit_id=payload["a"],
        parent_audit_id=payload.get("pa", ""),
        key_id=kid,
        credential=Credential(
            id=credential[0],
            name=credential[1],
            restricted=credential[2],
            rules=None if rules is None else tuple((rule[0], rule[1], rule[2]) for rule in rules),
        )
        if credential
        else None,
        methods=tuple(payload["m"]),
        issued_at=datetime.fromtimestamp(payload["iat"], UTC),
        expires_at=datetime.fromtimestamp(payload["exp"], UTC),
    )
