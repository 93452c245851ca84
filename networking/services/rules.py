"""Making, changing and deleting the rules of security groups."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db.models import F

from computecloud.wire.caller import Caller
from networking import errors, protocols, selectors
from networking.models import SecurityGroup, SecurityGroupRule
from networking.services import counting, groups, spreading
from networking.services.allocation import until_unique
from workers.models import utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRule:
    """What a rule is made of; protocol and ports as the Network API takes them."""

    group_id: UUID
    direction: str
    ip_version: int = 4
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_prefix: str | None = None
    remote_group_id: UUID | None = None
    description: str = ""


def create_rules(new: Sequence[NewRule], *, caller: Caller) -> list[SecurityGroupRule]:
    """Make rules of one group, all or none.

    Raises SecurityGroupNotFound, PolicyNotAuthorized, OverQuota, SecurityGroupRuleExists and InvalidInput for what
    does not go together.
    """
    group_ids = {rule.group_id for rule in new}
    if len(group_ids) != 1:
        raise errors.SecurityGroupNotSingleGroupRules
    group = groups.own_group(group_ids.pop(), caller, "create_security_group_rule")
    groups.checked([rule.remote_group_id for rule in new if rule.remote_group_id], caller)
    rows = [_row(rule, group) for rule in new]
    _refuse_twice(rows)

    def write(_attempt: int) -> list[SecurityGroupRule]:
        counting.admit(group.project_id, "security_group_rule", len(rows))
        if not groups.touch(group.pk):
            raise errors.SecurityGroupNotFound(group.pk)
        for row in _known(group, {row.meaning for row in rows}):
            raise errors.SecurityGroupRuleExists(row)
        made = SecurityGroupRule.objects.bulk_create(rows)
        spreading.rules_changed([group.pk])
        return made

    return until_unique(write)


def add_rule(group: SecurityGroup, new: NewRule) -> SecurityGroupRule:
    """Write a rule, by nobody's wish; raises what create_rules raises of what does not go together."""
    row = _row(new, group)
    row.save(force_insert=True)
    return row


def update_rule(rule_id: UUID, changes: dict[str, Any], *, caller: Caller) -> SecurityGroupRule:
    """Change a rule's description; raises SecurityGroupRuleNotFound, PolicyNotAuthorized."""
    rule = _own(rule_id, caller, "update_security_group_rule")
    rows = SecurityGroupRule.objects.filter(pk=rule.pk)
    if not rows.update(revision=F("revision") + 1, updated_at=utc_now(), **changes):
        raise errors.SecurityGroupRuleNotFound(rule_id)
    return selectors.security_group_rule(caller, rule_id)


def delete_rule(rule_id: UUID, *, caller: Caller) -> None:
    """Delete a rule; raises SecurityGroupRuleNotFound, PolicyNotAuthorized."""
    rule = _own(rule_id, caller, "delete_security_group_rule")

    def write(_attempt: int) -> None:
        groups.touch(rule.group_id)
        if not SecurityGroupRule.objects.filter(pk=rule_id).delete()[0]:
            raise errors.SecurityGroupRuleNotFound(rule_id)
        spreading.rules_changed([rule.group_id])

    until_unique(write)


def _own(rule_id: UUID, caller: Caller, action: str) -> SecurityGroupRule:
    rule = selectors.security_group_rule(caller, rule_id)
    if not caller.is_admin and rule.project_id != caller.project_id:
        raise errors.PolicyNotAuthorized(action)
    return rule


def _row(new: NewRule, group: SecurityGroup) -> SecurityGroupRule:
    """Return the row of a checked rule; raises what the Network API says of what does not go together."""
    protocol = protocols.parse(new.protocol)
    protocols.check_version(protocol, new.ip_version)
    protocols.check_ports(protocol, new.ip_version, new.port_min, new.port_max)
    if new.remote_prefix is not None and new.remote_group_id is not None:
        raise errors.SecurityGroupRemoteGroupAndRemoteIpPrefix
    rule = SecurityGroupRule(
        id=uuid4(),
        group=group,
        project_id=group.project_id,
        description=new.description,
        direction=new.direction,
        ip_version=new.ip_version,
        protocol=protocol,
        port_min=new.port_min,
        port_max=new.port_max,
        remote_prefix=_prefix(new.remote_prefix, new.ip_version),
        remote_group_id=new.remote_group_id,
    )
    rule.meaning = rule.in_one_form()
    return rule


def _prefix(text: str | None, ip_version: int) -> str | None:
    if text is None:
        return None
    try:
        cidr = ipaddress.ip_interface(text)
    except ValueError:
        raise errors.InvalidCIDR(text) from None
    if cidr.version != ip_version:
        raise errors.SecurityGroupRuleParameterConflict(f"IPv{ip_version}", text)
    return cidr.with_prefixlen  # as it was said, which clients compare: Neutron keeps the bits behind it


def _refuse_twice(rows: Sequence[SecurityGroupRule]) -> None:
    seen: dict[str, UUID] = {}
    for row in rows:
        if seen.setdefault(row.meaning, row.pk) != row.pk:
            raise errors.SecurityGroupRuleExists(seen[row.meaning])


def _known(group: SecurityGroup, meanings: set[str]) -> list[UUID]:
    """Return the ids of the group's rules that say one of these, looked for in batches that every database takes."""
    if len(meanings) > 500:
        rows = SecurityGroupRule.objects.filter(group=group).values_list("pk", "meaning")
        return [rule_id for rule_id, meaning in rows if meaning in meanings]
    rows = SecurityGroupRule.objects.filter(group=group, meaning__in=meanings).values_list("pk", "meaning")
    return [rule_id for rule_id, _ in rows]
