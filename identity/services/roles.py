"""Roles: make, change, delete, give and take away, and which implies which."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypedDict

from django.db import IntegrityError, transaction

from computecloud.wire.errors import Forbidden, NotFound
from identity import policy, revocation, selectors
from identity.models import Domain, Group, GroupMember, ImpliedRole, Project, Role, RoleAssignment, User
from identity.policy import BOOTSTRAP_ROLES
from identity.services.writing import checked_extra, merge_extra, store, unique


class RoleValues(TypedDict, total=False):
    """What a role has; absent keys stay as they are."""

    name: str
    description: str
    extra: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A role of a user or a group, in a project, a domain or the whole cloud: one of each."""

    role: Role
    user: User | None = None
    group: Group | None = None
    project: Project | None = None
    domain: Domain | None = None

    def columns(self) -> dict[str, Any]:
        """Return the columns of the assignment's row."""
        found = {
            "role": self.role,
            "user": self.user,
            "group": self.group,
            "project": self.project,
            "domain": self.domain,
        }
        return {**found, "system": self.project is None and self.domain is None}


def create(values: RoleValues) -> Role:
    """Make a role; raises NameTaken."""
    role = Role(
        name=values["name"],
        description=values.get("description") or "",
        extra=checked_extra(values.get("extra", {})),
    )
    with unique("role", role.name):
        role.save(force_insert=True)
    return role


def update(role: Role, values: RoleValues) -> Role:
    """Change a role; raises Forbidden for the name of a role that policies know, NameTaken, NotFound."""
    renamed = values.get("name", role.name) != role.name
    if renamed:
        _refuse_bootstrap(role)
    with unique("role", values.get("name", role.name)):
        if renamed:
            _revoke_holders(role)
        role.name = values.get("name", role.name)
        role.description = values.get("description", role.description)
        store(role, ["name", "description"])
        if extra := values.get("extra"):
            merge_extra(role, extra)
    return role


def delete(role: Role) -> None:
    """Take the role from everybody and delete it; raises Forbidden for those that policies know."""
    _refuse_bootstrap(role)
    with transaction.atomic():
        _revoke_holders(role)
        role.delete()


def assign(holding: Holding) -> None:
    """Give the role; nothing changes when it was given already."""
    try:
        with transaction.atomic():
            RoleAssignment.objects.create(**holding.columns())
    except IntegrityError:
        # A user, role or scope that was deleted meanwhile comes here too; then there is nothing to give.
        return


def unassign(holding: Holding) -> None:
    """Take the role away and void the tokens that say it; raises NotFound where it was not given."""
    with transaction.atomic():
        rows = RoleAssignment.objects.filter(**holding.columns())
        given = list(rows)
        if not rows.delete()[0]:
            raise not_given(holding)
        revoke_assigned(given)


def not_given(holding: Holding) -> NotFound:
    """Return the refusal of a role that was not given."""
    actor = (
        f"user: {holding.user.id}" if holding.user else f"group: {holding.group.id if holding.group else ''}"
    )
    scope = holding.project or holding.domain
    return NotFound(
        f"Could not find role assignment with role: {holding.role.id}, {actor}, project, domain, or system: "
        f"{scope.pk if scope else 'all'}."
    )


def imply(prior: Role, implied: Role) -> None:
    """Have a role imply another; nothing changes when it does already. Raises Forbidden for the role admin."""
    if implied.name == policy.ADMIN:
        raise Forbidden("The role 'admin' cannot be implied by another.")
    if policy.IMPLIES.get(prior.name) != implied.name:
        ImpliedRole.objects.get_or_create(prior=prior, implied=implied)


def imply_no_more(prior: Role, implied: Role) -> None:
    """Have a role no longer imply another, and void the tokens that may say so.

    Raises NotFound where it does not, Forbidden for what policies are written with.
    """
    if policy.IMPLIES.get(prior.name) == implied.name:
        raise Forbidden(f"Policies are written with '{prior.name}' implying '{implied.name}'. It stays.")
    before = selectors.implications()
    with transaction.atomic():
        if not ImpliedRole.objects.filter(prior=prior, implied=implied).delete()[0]:
            raise NotFound(f"Could not find implied role: {prior.id} does not imply {implied.id}.")
        for role in Role.objects.all():
            if prior.name in policy.expand([role.name], before):
                _revoke_holders(role)


def revoke_assigned(given: Iterable[RoleAssignment]) -> None:
    """Void the tokens of all who have these assignments, members of groups too."""
    rows = list(given)
    members: dict[str, list[str]] = {}
    groups = {row.group_id for row in rows if row.group_id}
    for group_id, user_id in GroupMember.objects.filter(group__in=groups).values_list("group_id", "user_id"):
        members.setdefault(group_id, []).append(user_id)
    revocation.revoke_grants(
        (user_id, row.project_id or row.domain_id or revocation.SYSTEM)
        for row in rows
        for user_id in ([row.user_id] if row.user_id else members.get(row.group_id or "", ()))
    )


def _refuse_bootstrap(role: Role) -> None:
    if role.name in BOOTSTRAP_ROLES:
        raise Forbidden(
            f"The role '{role.name}' is one that policies are written with. It cannot be changed."
        )


def _revoke_holders(role: Role) -> None:
    revoke_assigned(role.assignments.all())
