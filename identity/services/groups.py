"""Groups of users: make, change, delete, and who is in them."""

from typing import Any, TypedDict

from django.db import IntegrityError, transaction

from computecloud.wire.errors import InvalidInput, NotFound
from identity import revocation
from identity.models import DEFAULT_DOMAIN_ID, Domain, Group, GroupMember, RoleAssignment, User
from identity.services import roles
from identity.services.writing import checked_extra, merge_extra, store, unique


class GroupValues(TypedDict, total=False):
    """What a group has; absent keys stay as they are."""

    name: str
    domain_id: str
    description: str
    extra: dict[str, Any]


def create(values: GroupValues) -> Group:
    """Make a group; raises InvalidInput (unknown domain) and NameTaken."""
    group = Group(
        name=values["name"],
        domain_id=values.get("domain_id", DEFAULT_DOMAIN_ID),
        description=values.get("description", ""),
        extra=checked_extra(values.get("extra", {})),
    )
    if not Domain.objects.filter(pk=group.domain_id).exists():
        raise InvalidInput(f"There is no domain {group.domain_id}.")
    with unique("group", group.name):
        group.save(force_insert=True)
    return group


def update(group: Group, values: GroupValues) -> Group:
    """Change a group; raises InvalidInput, NameTaken and NotFound."""
    if values.get("domain_id", group.domain_id) != group.domain_id:
        raise InvalidInput("A group cannot be moved to another domain.")
    group.name = values.get("name", group.name)
    group.description = values.get("description", group.description)
    with unique("group", group.name):
        store(group, ["name", "description"])
        if extra := values.get("extra"):
            merge_extra(group, extra)
    return group


def delete(group: Group) -> None:
    """Delete the group with what its members had by it, and void the tokens that say so."""
    with transaction.atomic():
        roles.revoke_assigned(group.role_assignments.all())
        group.delete()


def add(group: Group, user: User) -> None:
    """Put a user into a group; nothing changes when it is there already."""
    try:
        with transaction.atomic():
            GroupMember.objects.create(group=group, user=user)
    except IntegrityError:  # also where one of them was deleted meanwhile: then there is nobody to add
        return


def remove(group: Group, user: User) -> None:
    """Take a user out of a group and void the tokens that say what it gave; raises NotFound where it is not there."""
    with transaction.atomic():
        if not GroupMember.objects.filter(group=group, user=user).delete()[0]:
            raise not_in(group.id, user.id)
        given = RoleAssignment.objects.filter(group=group).values_list("project_id", "domain_id")
        revocation.revoke_grants(
            (user.id, project_id or domain_id or revocation.SYSTEM) for project_id, domain_id in given
        )


def not_in(group_id: str, user_id: str) -> NotFound:
    """Return the refusal of a user that is not in the group."""
    return NotFound(f"Could not find user {user_id} in group {group_id}.")
