"""Roles: make, change, delete, give and take away."""

from typing import TypedDict

from django.db import IntegrityError, transaction

from computecloud.wire.errors import Forbidden, NotFound
from identity import revocation
from identity.models import Domain, Project, Role, RoleAssignment, User
from identity.policy import BOOTSTRAP_ROLES
from identity.services.writing import store, unique


class RoleValues(TypedDict, total=False):
    """What a role has; absent keys stay as they are."""

    name: str
    description: str


def create(values: RoleValues) -> Role:
    """Make a role; raises NameTaken."""
    role = Role(name=values["name"], description=values.get("description") or "")
    with unique("role", role.name):
        role.save(force_insert=True)
    return role


def update(role: Role, values: RoleValues) -> Role:
    """Change a role; raises Forbidden for the name of a role that policies know, NameTaken, NotFound."""
    name = values.get("name", role.name)
    if name != role.name:
        _refuse_bootstrap(role)
    role.name = name
    role.description = values.get("description", role.description)
    with unique("role", role.name):
        store(role, ["name", "description"])
        _revoke_holders(role)
    return role


def delete(role: Role) -> None:
    """Take the role from everybody and delete it; raises Forbidden for those that policies know."""
    _refuse_bootstrap(role)
    with transaction.atomic():
        _revoke_holders(role)
        role.delete()


def assign(*, user: User, role: Role, project: Project | None = None, domain: Domain | None = None) -> None:
    """Give the user the role in a project or domain; nothing changes when it has it already."""
    try:
        with transaction.atomic():
            RoleAssignment.objects.create(user=user, role=role, project=project, domain=domain)
    except IntegrityError:
        # A user, role or scope that was deleted meanwhile comes here too; then there is nothing to give.
        return


def unassign(*, user: User, role: Role, project: Project | None = None, domain: Domain | None = None) -> None:
    """Take the role away and void the tokens that say it; raises NotFound when the user does not have it."""
    with transaction.atomic():
        rows = RoleAssignment.objects.filter(user=user, role=role, project=project, domain=domain)
        if not rows.delete()[0]:
            raise NotFound(f"Could not find role assignment with role: {role.id}, user: {user.id}.")
        scope = project or domain
        revocation.revoke_grant(user.id, scope.pk if scope else "")


def _refuse_bootstrap(role: Role) -> None:
    if role.name in BOOTSTRAP_ROLES:
        raise Forbidden(
            f"The role '{role.name}' is one that policies are written with. It cannot be changed."
        )


def _revoke_holders(role: Role) -> None:
    for user_id, project_id, domain_id in role.assignments.values_list("user_id", "project_id", "domain_id"):
        revocation.revoke_grant(user_id, project_id or domain_id or "")
