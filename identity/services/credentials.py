"""Application credentials: make and delete; the secret is told once and kept hashed."""

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypedDict

import structlog
from django.contrib.auth.hashers import check_password, make_password
from django.db import IntegrityError, transaction

from computecloud.wire.caller import Caller
from computecloud.wire.errors import Conflict, Forbidden, InvalidInput
from identity import revocation, selectors, throttle
from identity.models import AccessRule, ApplicationCredential, Role
from identity.services.proof import REFUSED, UNUSABLE, Login, LoginRefused, Who, user_of

log = structlog.get_logger()


class RuleValues(TypedDict):
    """A request that a credential may be used for."""

    service: str
    method: str
    path: str


class CredentialValues(TypedDict, total=False):
    """What an application credential is made of; without roles it has all that its maker's token has."""

    name: str
    description: str
    secret: str | None
    roles: list[dict[str, str]]
    unrestricted: bool
    expires_at: datetime | None
    access_rules: list[RuleValues] | None


def create(values: CredentialValues, *, caller: Caller) -> tuple[ApplicationCredential, str]:
    """Make a credential of the caller for the project of the token; return it with its secret.

    Raises Forbidden where the token came from a restricted one, or is for no project; InvalidInput for roles that the
    caller does not have there and for a time that is over; Conflict where the name is taken.
    """
    require_unrestricted(caller)
    if caller.project_id is None:
        raise Forbidden("An application credential is for a project: use a token that is scoped to one.")
    expires_at = values.get("expires_at")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidInput(f"The time {expires_at.isoformat()} is over. Choose a later 'expires_at'.")
    roles = _roles(values.get("roles"), caller)
    secret = values.get("secret") or secrets.token_hex(32)  # no "-x": clients take it on command lines
    row = ApplicationCredential(
        user_id=caller.user_id,
        project_id=caller.project_id,
        name=values["name"],
        description=values.get("description", ""),
        secret=make_password(secret),
        unrestricted=values.get("unrestricted", False),
        expires_at=expires_at,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            row.roles.set(roles)
            for rule in values.get("access_rules") or ():
                row.access_rules.add(AccessRule.objects.get_or_create(user_id=caller.user_id, **rule)[0])
    except IntegrityError:
        raise Conflict(
            "Conflict occurred attempting to store application_credential - Duplicate entry found with name "
            f"{values['name']} for this user."
        ) from None
    return selectors.credential(caller.user_id, row.id), secret


def delete(row: ApplicationCredential, *, caller: Caller) -> None:
    """Delete a credential and void its tokens; raises Forbidden where the token came from a restricted one."""
    require_unrestricted(caller)
    with transaction.atomic():
        credential_id = row.id
        row.delete()
        revocation.revoke_credential(credential_id)


def delete_rule(rule: AccessRule, *, caller: Caller) -> None:
    """Delete an access rule; raises Forbidden while a credential has it."""
    require_unrestricted(caller)
    if rule.credentials.exists():
        raise Forbidden(
            f"The access rule {rule.id} is in use by an application credential. Delete that first."
        )
    rule.delete()


def require_unrestricted(caller: Caller) -> None:
    """Raise Forbidden for a token that came from a restricted application credential."""
    if caller.credential is not None and caller.credential.restricted:
        raise Forbidden(
            "Using method 'application_credential' is not allowed for managing additional application credentials."
        )


def prove(*, credential_id: str, name: str, user: Who | None, secret: str, source: str) -> Login:
    """Return the log-in by an application credential: by its id, or by its name and its user.

    Unknown, expired, disabled and wrong cost the same time and read the same. Raises LoginRefused, TooManyFailures.
    """
    began = time.time()
    rows = ApplicationCredential.objects.select_related("user__domain", "project__domain")
    if credential_id:
        row = rows.filter(pk=credential_id).first()
    else:
        owner = user_of(user) if user else None
        row = rows.filter(user=owner, name=name).first() if owner else None
    account = row.id if row else credential_id or f"{user}/{name}"
    counter = throttle.key(f"application credential {account}", source)
    throttle.check(counter)
    right = check_password(secret, row.secret if row else UNUSABLE)
    if row is None or not right or not is_good(row):
        throttle.note_failure(counter)
        log.info("login.refused", credential=account[:128], source=source)
        raise LoginRefused(REFUSED)
    throttle.clear(counter)
    return Login(
        user=row.user,
        methods=("application_credential",),
        began=began,
        expires_at=row.expires_at.timestamp() if row.expires_at else None,
        credential=row,
    )


def is_good(row: ApplicationCredential) -> bool:
    """Tell whether a credential may be used: it has not expired, its user and project are enabled."""
    expired = row.expires_at is not None and row.expires_at <= datetime.now(UTC)
    enabled = (
        row.user.enabled and row.user.domain.enabled and row.project.enabled and row.project.domain.enabled
    )
    return enabled and not expired


def _roles(wanted: Sequence[dict[str, str]] | None, caller: Caller) -> list[Role]:
    own = list(Role.objects.filter(name__in=caller.roles))
    if not wanted:
        return own
    by_id, by_name = {role.id: role for role in own}, {role.name: role for role in own}
    found = []
    for ref in wanted:
        role = by_id.get(ref["id"]) if ref.get("id") else by_name.get(ref.get("name", ""))
        if role is None:
            raise InvalidInput(
                f"Invalid application credential: Could not find role assignment with role: "
                f"{ref.get('id') or ref.get('name')}, user or group: {caller.user_id}, project, domain, or system: "
                f"{caller.project_id}."
            )
        found.append(role)
    return found
