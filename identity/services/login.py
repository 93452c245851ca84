"""From a password or an older token to a new token."""

import time
from dataclasses import dataclass

import structlog
from django.contrib.auth.hashers import check_password

from computecloud.wire.caller import Caller
from computecloud.wire.errors import Unauthenticated
from identity import policy, revocation, selectors, throttle, tokens
from identity.models import Domain, Project, User
from identity.services import users

log = structlog.get_logger()
UNUSABLE = "!"  # Django spends the time of a real check on it
REFUSED = "The request you have made requires authentication."


class LoginRefused(Unauthenticated):
    """Wrong name, password or scope; which of them is not said (401)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A thing by its id, or by its name in a domain that is given by id or name."""

    id: str = ""
    name: str = ""
    domain_id: str = ""
    domain_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a token is to be for: a project, a domain, nothing (`unscoped`), or the user's default project."""

    project: Who | None = None
    domain: Who | None = None
    unscoped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Somebody who has proved who they are; `began` is when the user's row was read (seconds since 1970)."""

    user: User
    methods: tuple[str, ...]
    began: float
    expires_at: float | None = None
    parent_audit_id: str = ""


def by_password(who: Who, password: str, *, source: str) -> Login:
    """Return the log-in of a user with the right password.

    `source` is the client's address. Unknown, disabled and wrong cost the same time and read the same.
    Raises LoginRefused (401), TooManyFailures (429).
    """
    began = time.time()
    user = _user(who)
    account = user.id if user else who.id or f"{who.domain_id or who.domain_name}/{who.name}"
    counter = throttle.key(account, source)
    throttle.check(counter)
    right = user.check_password(password) if user else check_password(password, UNUSABLE)
    if user is None or not right or not user.enabled or not user.domain.enabled:
        throttle.note_failure(counter)
        log.info("login.refused", account=account[:128], source=source)
        raise LoginRefused(REFUSED)
    throttle.clear(counter)
    return Login(user=user, methods=("password",), began=began)


def by_token(token: str) -> Login:
    """Return the log-in of a token's user; raises LoginRefused (401)."""
    began = time.time()
    caller = tokens.check(token)
    user = _user(Who(id=caller.user_id))
    if user is None or not user.enabled or not user.domain.enabled:
        raise LoginRefused(REFUSED)
    methods = ("token", *(method for method in caller.methods if method != "token"))
    return Login(
        user=user,
        methods=methods,
        began=began,
        expires_at=caller.expires_at.timestamp(),
        parent_audit_id=caller.audit_id,
    )


def issue(login: Login, scope: Scope) -> str:
    """Return a token for the scope; raises LoginRefused when the user has no role there."""
    user = login.user
    project, domain = _resolve(user, scope)
    roles: list[str] = []
    if project is not None:
        roles = selectors.role_names(user_id=user.id, project_id=project.id)
    elif domain is not None:
        roles = selectors.role_names(user_id=user.id, domain_id=domain.id)
    if not roles and (project is not None or domain is not None):
        if scope.project is None and scope.domain is None:  # the default project is a wish, not a demand
            project = None
        else:
            raise LoginRefused(REFUSED)
    grant = tokens.Grant(
        user_id=user.id,
        user_name=user.name,
        user_domain_id=user.domain.pk,
        roles=tuple(policy.expand(roles)),
        project_id=project.id if project else None,
        project_name=project.name if project else None,
        project_domain_id=project.domain_id if project else None,
        scope_domain_id=domain.id if domain else None,
        methods=login.methods,
        parent_audit_id=login.parent_audit_id,
    )
    return tokens.issue(grant, at=login.began, expires_at=login.expires_at)


def change_own_password(user_id: str, old: str, new: str, *, source: str) -> User:
    """Return the user after checking the old password; raises LoginRefused, TooManyFailures."""
    user = by_password(Who(id=user_id), old, source=source).user
    users.set_password(user, new)
    return user


def revoke(caller: Caller) -> None:
    """Void the token."""
    revocation.revoke_token(caller)


def _user(who: Who) -> User | None:
    rows = User.objects.select_related("domain")
    if who.id:
        return rows.filter(pk=who.id).first()
    if who.domain_id:
        return rows.filter(name=who.name, domain_id=who.domain_id).first()
    return rows.filter(name=who.name, domain__name=who.domain_name).first()


def _resolve(user: User, scope: Scope) -> tuple[Project | None, Domain | None]:
    if scope.unscoped:
        return None, None
    if scope.domain is not None:
        by = {"pk": scope.domain.id} if scope.domain.id else {"name": scope.domain.name}
        domain = Domain.objects.filter(**by, enabled=True).first()
        if domain is None:
            raise LoginRefused(REFUSED)
        return None, domain
    wanted = scope.project or Who(id=user.default_project_id)
    project = _project(wanted)
    if project is None and scope.project is not None:
        raise LoginRefused(REFUSED)
    return project, None


def _project(who: Who) -> Project | None:
    rows = Project.objects.filter(enabled=True, domain__enabled=True)
    if who.id:
        return rows.filter(pk=who.id).first()
    if who.domain_id:
        return rows.filter(name=who.name, domain_id=who.domain_id).first()
    if who.domain_name:
        return rows.filter(name=who.name, domain__name=who.domain_name).first()
    return None
