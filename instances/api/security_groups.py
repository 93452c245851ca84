"""os-security-groups and os-security-group-rules, which versions before 2.36 had for who knows no Network API."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from rest_framework.request import Request

import networking.selectors
import networking.services
from computecloud.wire.errors import Conflict, InvalidInput, NotFound, QuotaExceeded
from instances.api.base import ComputeView
from instances.api.queries import SecurityGroupsQuery
from instances.api.security_group_bodies import PORT_MAX, NewRuleBody, SecurityGroupBody
from instances.selectors import as_uuid
from networking.errors import OverQuota, SecurityGroupRuleExists
from networking.models import SecurityGroup
from networking.services.groups import NewGroup
from networking.services.rules import NewRule

_RULE = "os_compute_api:os-security-groups:"
_ALL = {4: "0.0.0.0/0", 6: "::/0"}


@contextmanager
def _in_compute_terms() -> Iterator[None]:
    """Refuse as the Compute API does: it has no conflicts here."""
    try:
        yield
    except OverQuota as error:
        raise QuotaExceeded(error.message) from None
    except SecurityGroupRuleExists:
        raise InvalidInput("This rule already exists in the group.") from None
    except Conflict as error:
        raise InvalidInput(error.message) from None


def _id(text: str) -> UUID:
    found = as_uuid(text)
    if found is None:
        raise InvalidInput("Security group id should be uuid")
    return found


class SecurityGroupViews(ComputeView):
    """What these views share."""

    def group(self, group_id: UUID) -> SecurityGroup:
        """Return a group that the caller may see; raises NotFound."""
        return networking.selectors.security_group(self.caller, group_id)

    def one(self, group: SecurityGroup) -> HttpResponseBase:
        """Answer with one group."""
        return self.answer({"security_group": networking.services.in_compute_form([group])[0]})


class SecurityGroupListView(SecurityGroupViews):
    """GET and POST /os-security-groups."""

    def get(self, _request: Request) -> HttpResponseBase:
        """List the project's groups; an admin may ask for those of all projects."""
        self.enforce(_RULE + "get")
        query = self.query(SecurityGroupsQuery)
        networking.services.default_group(self.project_id)
        found = networking.selectors.security_groups(self.caller).order_by("project_id", "name", "id")
        if not (self.caller.is_admin and query.get("all_tenants")):
            found = found.filter(project_id=self.project_id)
        first = query.get("offset", 0)
        page = found[first : first + self.page(query).limit]
        return self.answer({"security_groups": networking.services.in_compute_form(page)})

    def post(self, _request: Request) -> HttpResponseBase:
        """Make a group."""
        self.enforce(_RULE + "create")
        wanted = self.body(SecurityGroupBody, key="security_group")
        with _in_compute_terms():
            return self.one(networking.services.create_group(NewGroup(**wanted), caller=self.caller))


class SecurityGroupView(SecurityGroupViews):
    """GET, PUT and DELETE /os-security-groups/{id}."""

    def get(self, _request: Request, group_id: str) -> HttpResponseBase:
        """Show a group."""
        self.enforce(_RULE + "show")
        return self.one(self.group(_id(group_id)))

    def put(self, _request: Request, group_id: str) -> HttpResponseBase:
        """Change a group's name and description."""
        self.enforce(_RULE + "update")
        key, wanted = _id(group_id), self.body(SecurityGroupBody, key="security_group")
        with _in_compute_terms():
            return self.one(networking.services.update_group(key, wanted, caller=self.caller))

    def delete(self, _request: Request, group_id: str) -> HttpResponseBase:
        """Delete a group that no server has."""
        self.enforce(_RULE + "delete")
        with _in_compute_terms():
            networking.services.delete_group(_id(group_id), caller=self.caller)
        return self.answer(status=202)


class SecurityGroupRulesView(SecurityGroupViews):
    """POST /os-security-group-rules."""

    def post(self, _request: Request) -> HttpResponseBase:
        """Add a rule for what comes in."""
        self.enforce(_RULE + "rule:create")
        body = self.body(NewRuleBody, key="security_group_rule")
        group_id, remote_group_id = self.group(body["parent_group_id"]).pk, body.get("group_id")
        if remote_group_id is not None:
            self.group(remote_group_id)
        with _in_compute_terms():
            new = _new_rule(body, group_id, remote_group_id)
            [made] = networking.services.create_rules([new], caller=self.caller)
        return self.answer({"security_group_rule": networking.services.rule_in_compute_form(made)})


class SecurityGroupRuleView(SecurityGroupViews):
    """DELETE /os-security-group-rules/{id}."""

    def delete(self, _request: Request, rule_id: str) -> HttpResponseBase:
        """Remove a rule."""
        self.enforce(_RULE + "rule:delete")
        key = as_uuid(rule_id)
        if key is None:
            raise NotFound(f"Rule ({rule_id[:64]}) not found")
        with _in_compute_terms():
            networking.services.delete_rule(key, caller=self.caller)
        return self.answer(status=202)


def _new_rule(body: dict[str, Any], group_id: UUID, remote_group_id: UUID | None) -> NewRule:
    """Return the rule that a body means; raises InvalidInput. Only one from a group may leave ports away."""
    protocol, low, high = body.get("ip_protocol"), body.get("from_port"), body.get("to_port")
    cidr = None if remote_group_id else _cidr(body.get("cidr"))
    if protocol is None or low is None or high is None:
        if cidr is not None:
            raise InvalidInput("Not enough parameters to build a valid rule.")
        low = high = None
    elif protocol.lower() == "icmp":
        if not (-1 <= low <= 255 and -1 <= high <= 255):
            raise InvalidInput("Invalid port range: for ICMP, the type:code must be valid.")
        low, high = (None if value == -1 else value for value in (low, high))
    elif protocol.lower() not in ("tcp", "udp"):
        raise InvalidInput(f"Invalid IP protocol {protocol[:64]}.")
    elif not 1 <= low <= high <= PORT_MAX:
        raise InvalidInput(f"Invalid port range {low}:{high}: ports are 1 to {PORT_MAX}, the lower first.")
    version = 6 if cidr and ":" in cidr else 4
    return NewRule(
        group_id=group_id,
        direction="ingress",
        ip_version=version,
        protocol=protocol or None,
        port_min=low,
        port_max=high,
        remote_prefix=None if cidr == _ALL[version] else cidr,
        remote_group_id=remote_group_id,
    )


def _cidr(text: str | None) -> str:
    try:
        return ipaddress.ip_interface(text or _ALL[4]).with_prefixlen
    except ValueError:
        raise InvalidInput(f"{str(text)[:64]} is not a valid IP network.") from None
