"""Security groups in the form of the Compute API, which knows rules for what comes in alone."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from networking.models import Direction, SecurityGroup, SecurityGroupRule
from networking.protocols import ICMP, ICMPV6, PORT_MAX, WITH_PORTS, number


def in_compute_form(found: Iterable[SecurityGroup]) -> list[dict[str, Any]]:
    """Return groups with their rules for what comes in; one query beside that of the groups."""
    rows = {group.pk: group for group in found}
    rules = SecurityGroupRule.objects.filter(group__in=rows, direction=Direction.INGRESS)
    by_group: dict[UUID, list[dict[str, Any]]] = {}
    for rule in rules.select_related("remote_group"):
        by_group.setdefault(rule.group_id, []).append(rule_in_compute_form(rule))
    return [
        {
            "id": str(group.pk),
            "name": group.name,
            "description": group.description,
            "tenant_id": group.project_id,
            "rules": by_group.get(group.pk, []),
        }
        for group in rows.values()
    ]


def rule_in_compute_form(rule: SecurityGroupRule) -> dict[str, Any]:
    """Return a rule as the Compute API shows it."""
    carried = number(rule.protocol, rule.ip_version)
    low, high = rule.port_min, rule.port_max
    if carried in (ICMP, ICMPV6):
        low, high = (-1 if low is None else low), (-1 if high is None else high)
    elif carried in WITH_PORTS and low is None:
        low, high = 1, PORT_MAX
    group, remote = {}, rule.remote_group
    cidr = {"cidr": rule.remote_prefix or ("0.0.0.0/0" if rule.ip_version == 4 else "::/0")}
    if remote is not None:
        group, cidr = {"name": remote.name, "tenant_id": remote.project_id}, {}
    return {
        "id": str(rule.pk),
        "parent_group_id": str(rule.group_id),
        "ip_protocol": rule.protocol,
        "from_port": low,
        "to_port": high,
        "group": group,
        "ip_range": cidr,
    }
