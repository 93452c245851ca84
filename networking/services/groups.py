"""Making, changing and deleting security groups, and the one that every project begins with."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.db.models import F

from computecloud.wire.caller import Caller
from computecloud.wire.errors import InvalidInput
from networking import selectors
from networking.errors import (
    PolicyNotAuthorized,
    SecurityGroupCannotRemoveDefault,
    SecurityGroupCannotUpdateDefault,
    SecurityGroupDefaultAlreadyExists,
    SecurityGroupInUse,
    SecurityGroupNotFound,
)
from networking.models import Direction, PortGroup, SecurityGroup, SecurityGroupRule
from networking.services import counting, spreading
from networking.services.allocation import until_unique
from networking.services.sharing import forget_shares
from workers.models import utc_now

DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroup:
    """What a security group is made of; it begins with rules that let everything out."""

    name: str = ""
    description: str = ""
    project_id: str = ""


def default_group(project_id: str) -> UUID:
    """Return the id of the project's default group, which is made where it is not there.

    Its rules are Neutron's: everything out, and everything in from the ports that have it.
    """
    group_id = uuid5(UUID(int=0), f"default security group of {project_id}")
    if SecurityGroup.objects.filter(pk=group_id).exists():
        return group_id

    def write(_attempt: int) -> None:
        if SecurityGroup.objects.filter(pk=group_id).exists():
            return
        group = SecurityGroup.objects.create(
            id=group_id,
            project_id=project_id,
            name=DEFAULT,
            description="Default security group",
            is_default=True,
        )
        SecurityGroupRule.objects.bulk_create([*_way_out(group), *_from_itself(group)])

    until_unique(write)
    return group_id


def create_group(new: NewGroup, *, caller: Caller) -> SecurityGroup:
    """Make a group; raises PolicyNotAuthorized, OverQuota, SecurityGroupDefaultAlreadyExists."""
    project_id = new.project_id or caller.project_id or ""
    if project_id != caller.project_id and not caller.is_admin:
        raise PolicyNotAuthorized("create_security_group")
    if new.name == DEFAULT:
        raise SecurityGroupDefaultAlreadyExists
    default_group(project_id)

    def write(_attempt: int) -> SecurityGroup:
        counting.admit(project_id, "security_group")
        group = SecurityGroup.objects.create(
            id=uuid4(), project_id=project_id, name=new.name, description=new.description
        )
        SecurityGroupRule.objects.bulk_create(_way_out(group))
        return group

    return until_unique(write)


def update_group(group_id: UUID, changes: dict[str, Any], *, caller: Caller) -> SecurityGroup:
    """Change name or description; raises SecurityGroupNotFound, PolicyNotAuthorized and what `default` refuses."""
    group = own_group(group_id, caller, "update_security_group")
    if "name" in changes and changes["name"] != group.name:
        if group.is_default:
            raise SecurityGroupCannotUpdateDefault
        if changes["name"] == DEFAULT:
            raise SecurityGroupDefaultAlreadyExists
    if not touch(group_id, **changes):
        raise SecurityGroupNotFound(group_id)
    return selectors.security_group(caller, group_id)


def delete_group(group_id: UUID, *, caller: Caller) -> None:
    """Delete a group with its rules and those that name it.

    Raises SecurityGroupNotFound, PolicyNotAuthorized, SecurityGroupCannotRemoveDefault, SecurityGroupInUse.
    """
    group = own_group(group_id, caller, "delete_security_group")
    if group.is_default and not caller.is_admin:
        raise SecurityGroupCannotRemoveDefault

    def write(_attempt: int) -> None:
        if not touch(group_id):
            raise SecurityGroupNotFound(group_id)
        if PortGroup.objects.filter(group=group_id).exists():
            raise SecurityGroupInUse(group_id)
        naming = SecurityGroupRule.objects.filter(remote_group=group_id)
        spreading.rules_changed(set(naming.exclude(group=group_id).values_list("group", flat=True)))
        naming.delete()
        forget_shares("security_group", group_id)
        SecurityGroup.objects.filter(pk=group_id).delete()

    until_unique(write)


def named(names: Iterable[str], project_id: str) -> list[UUID]:
    """Return the ids of a project's groups by their names or ids, in order; raises InvalidInput, in Nova's words."""
    asked = list(dict.fromkeys(names))
    if asked in ([], [DEFAULT]):
        return [default_group(project_id)]
    default = default_group(project_id)
    rows = list(SecurityGroup.objects.filter(project_id=project_id).values_list("id", "name"))
    found = []
    for name in asked:
        by_id = [group_id for group_id, _ in rows if str(group_id) == name]
        matching = by_id or [group_id for group_id, called in rows if called == name]
        if name == DEFAULT:
            matching = [default]
        if not matching:
            raise InvalidInput(f"Security group {name} not found for project {project_id}.")
        if len(matching) > 1:
            raise InvalidInput(
                f"Multiple security groups found matching '{name}'. Use an ID to be more specific."
            )
        found.append(matching[0])
    return list(dict.fromkeys(found))


def checked(group_ids: Iterable[UUID], caller: Caller) -> list[UUID]:
    """Return the ids, once each, of groups that the caller may use; raises SecurityGroupNotFound."""
    asked = list(dict.fromkeys(group_ids))
    seen = set(selectors.security_groups(caller).filter(pk__in=asked).values_list("pk", flat=True))
    for group_id in asked:
        if group_id not in seen:
            raise SecurityGroupNotFound(group_id)
    return asked


def own_group(group_id: UUID, caller: Caller, action: str) -> SecurityGroup:
    """Return a group that the caller may change; raises SecurityGroupNotFound, PolicyNotAuthorized."""
    group = selectors.security_group(caller, group_id)
    if not caller.is_admin and group.project_id != caller.project_id:
        raise PolicyNotAuthorized(action)
    return group


def touch(group_id: UUID, **changes: Any) -> bool:
    """Write the group's row, so that what follows in the transaction is alone with it; False where there is none."""
    rows = SecurityGroup.objects.filter(pk=group_id)
    return bool(rows.update(revision=F("revision") + 1, updated_at=utc_now(), **changes))


def _way_out(group: SecurityGroup) -> list[SecurityGroupRule]:
    return [_rule(group, Direction.EGRESS, version, None) for version in (4, 6)]


def _from_itself(group: SecurityGroup) -> list[SecurityGroupRule]:
    return [_rule(group, Direction.INGRESS, version, group) for version in (4, 6)]


def _rule(
    group: SecurityGroup, direction: Direction, ip_version: int, remote: SecurityGroup | None
) -> SecurityGroupRule:
    rule = SecurityGroupRule(
        id=uuid4(),
        group=group,
        project_id=group.project_id,
        direction=direction,
        ip_version=ip_version,
        remote_group=remote,
    )
    rule.meaning = rule.in_one_form()
    return rule
