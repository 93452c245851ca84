"""From a password, an application credential or an older token to a new token."""

import time
from dataclasses import dataclass

import structlog
from django.contrib.auth.hashers import check_password

from computecloud.wire.caller import Caller, Credential
from computecloud.wire.errors import Forbidden
from identity import policy, revocation, selectors, throttle, tokens
from identity.models import ApplicationCredential, Domain, Project, User
from identity.services import credentials, users
from identity.services.proof import REFUSED, UNUSABLE, Login, LoginRefused, Who, user_of

__all__ = ["REFUSED", "Login", "LoginRefused", "Scope", "Who"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a token is to be for; where nothing is said, the user's default project."""

    project: Who | None = None
    domain: Who | None = None
    system: bool = False
    unscoped: bool = False

    @property
    def is_demanded(self) -> bool:
        """Tell whether the caller said what the token is to be for."""
        return self.system or self.unscoped or self.project is not None or self.domain is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """What a scope turned out to be."""

    project: Project | None = None
    domain: Domain | None = None
    system: bool = False

    @property
    def is_something(self) -> bool:
        return self.system or self.project is not None or self.domain is not None


def by_password(who: Who, password: str, *, source: str) -> Login:
    """Return the log-in of a user with the right password.

    `source` is the client's address. Unknown, disabled and wrong cost the same time and read the same.
    Raises LoginRefused (401), TooManyFailures (429).
    """
    began = time.time()
    user = user_of(who)
    account = user.id if user else str(who)
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
    user = user_of(Who(id=caller.user_id))
    if user is None or not user.enabled or not user.domain.enabled:
        raise LoginRefused(REFUSED)
    credential = None
    if caller.credential is not None:
        rows = ApplicationCredential.objects.select_related("user__domain", "project__domain")
        credential = rows.filter(pk=caller.credential.id).first()
        if credential is None or not credentials.is_good(credential):
            raise LoginRefused(REFUSED)
    methods = ("token", *(method for method in caller.methods if method != "token"))
    return Login(
        user=user,
        methods=methods,
        began=began,
        expires_at=caller.expires_at.timestamp(),
        parent_audit_id=caller.audit_id,
        credential=credential,
    )


def issue(login: Login, scope: Scope) -> str:
    """Return a token for the scope.

    Raises LoginRefused when the user has no role there, Forbidden where an application credential is for another one.
    """
    user = login.user
    target = _of_credential(login, scope) if login.credential else _resolve(user, scope)
    roles = _roles(login, target)
    if target.is_something and not roles:
        if scope.is_demanded or login.credential:
            raise LoginRefused(REFUSED)
        target = _Target()  # the default project is a wish, not a demand
    project, domain = target.project, target.domain
    grant = tokens.Grant(
        user_id=user.id,
        user_name=user.name,
        user_domain_id=user.domain.pk,
        roles=tuple(roles),
        project_id=project.id if project else None,
        project_name=project.name if project else None,
        project_domain_id=project.domain_id if project else None,
        scope_domain_id=domain.id if domain else None,
        is_system=target.system,
        methods=login.methods,
        parent_audit_id=login.parent_audit_id,
        credential=_credential(login.credential) if login.credential else None,
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


def _roles(login: Login, target: _Target) -> frozenset[str]:
    """Return the names of the roles that the token is to say: of a credential's those that its user still has."""
    if not target.is_something:
        return frozenset()
    found = selectors.effective_roles(
        user_id=login.user.id,
        project_id=target.project.id if target.project else None,
        domain_id=target.domain.id if target.domain else None,
        system=target.system,
    )
    if login.credential is None or not found:
        return found
    chosen = set(login.credential.roles.values_list("name", flat=True))
    return policy.expand(found & chosen, selectors.implications()) & found


def _of_credential(login: Login, scope: Scope) -> _Target:
    """Return the project of the login's credential; raises LoginRefused or Forbidden for any other scope."""
    assert login.credential is not None
    project = login.credential.project
    if scope.is_demanded:
        if login.methods[0] == "application_credential":
            raise LoginRefused("Application credentials cannot request a scope.")
        asked = _project(scope.project) if scope.project else None
        if asked is None or asked.id != project.id:
            raise Forbidden("A token of an application credential cannot be scoped to anything else.")
    return _Target(project=project)


def _credential(row: ApplicationCredential) -> Credential:
    rules = tuple((rule.service, rule.method, rule.path) for rule in row.access_rules.order_by("pk"))
    return Credential(id=row.id, name=row.name, restricted=not row.unrestricted, rules=rules or None)


def _resolve(user: User, scope: Scope) -> _Target:
    if scope.unscoped or scope.system:
        return _Target(system=scope.system)
    if scope.domain is not None:
        by = {"pk": scope.domain.id} if scope.domain.id else {"name": scope.domain.name}
        domain = Domain.objects.filter(**by, enabled=True).first()
        if domain is None:
            raise LoginRefused(REFUSED)
        return _Target(domain=domain)
    wanted = scope.project or Who(id=user.default_project_id)
    project = _project(wanted)
    if project is None and scope.project is not None:
        raise LoginRefused(REFUSED)
    return _Target(project=project)


def _project(who: Who) -> Project | None:
    rows = Project.objects.filter(enabled=True, domain__enabled=True)
    if who.id:
        return rows.filter(pk=who.id).first()
    if who.domain_id:
        return rows.filter(name=who.name, domain_id=who.domain_id).first()
    if who.domain_name:
        return rows.filter(name=who.name, domain__name=who.domain_name).first()
    return None
