"""Users: make, change, delete, passwords."""

from typing import Any, TypedDict

from django.db import transaction

from computecloud.wire.errors import InvalidInput
from identity import revocation
from identity.models import DEFAULT_DOMAIN_ID, Domain, Project, User
from identity.services.writing import checked_extra, merge_extra, store, unique


class UserValues(TypedDict, total=False):
    """What a user has; absent keys stay as they are."""

    name: str
    domain_id: str
    default_project_id: str | None
    email: str
    description: str
    enabled: bool
    password: str | None
    extra: dict[str, Any]


def no_project(project_id: str) -> InvalidInput:
    """Return the refusal of a default project that is none, or that may not be one."""
    return InvalidInput(f"There is no project {project_id}.")


def create(values: UserValues) -> User:
    """Make a user; raises InvalidInput (unknown domain or project) and NameTaken."""
    user = User(name=values["name"], domain_id=values.get("domain_id", DEFAULT_DOMAIN_ID))
    if not Domain.objects.filter(pk=user.domain_id).exists():
        raise InvalidInput(f"There is no domain {user.domain_id}.")
    _apply(user, values)
    user.extra = checked_extra(values.get("extra", {}))
    with unique("user", user.name):
        user.save(force_insert=True)
    return user


def update(user: User, values: UserValues) -> User:
    """Change a user; raises InvalidInput, NameTaken and NotFound. A new password or disabling voids the tokens."""
    if values.get("domain_id", user.domain_id) != user.domain_id:
        raise InvalidInput("A user cannot be moved to another domain.")
    was_enabled = user.enabled
    changed = [*_apply(user, values)]
    extra = values.get("extra")
    if not changed and not extra:
        return user
    with unique("user", user.name):
        store(user, changed)
        if extra:
            merge_extra(user, extra)
        if "password" in changed or (was_enabled and not user.enabled):
            revocation.revoke_user(user.id)
    return user


def set_password(user: User, password: str) -> None:
    """Give the user a new password and void all tokens; raises NotFound."""
    user.set_password(password)
    with transaction.atomic():
        store(user, ["password"])
        revocation.revoke_user(user.id)


def delete(user: User) -> None:
    """Delete the user with its assignments and void all tokens."""
    with transaction.atomic():
        user_id = user.id
        user.delete()
        revocation.revoke_user(user_id)


def _apply(user: User, values: UserValues) -> set[str]:
    changed: set[str] = set()
    for name in ("name", "email", "description", "enabled"):
        if name in values:
            setattr(user, name, values[name])
            changed.add(name)
    if "default_project_id" in values:
        project_id = values["default_project_id"] or ""
        if project_id and not Project.objects.filter(pk=project_id).exists():
            raise no_project(project_id)
        user.default_project_id = project_id
        changed.add("default_project_id")
    if "password" in values or not user.password:
        user.set_password(values.get("password"))
        changed.add("password")
    return changed
