"""Who may do what, by the Compute API's own rule names; a foreign server is not a matter of policy but of 404."""

import enum
from collections.abc import Mapping
from types import MappingProxyType

from computecloud.wire.errors import Forbidden
from identity.caller import Caller


class Who(enum.Enum):
    """Which callers a rule lets pass; an admin passes every rule."""

    ADMIN = frozenset({"admin"})
    MEMBER = frozenset({"admin", "manager", "member"})
    READER = frozenset({"admin", "manager", "member", "reader"})


_SERVERS = "os_compute_api:servers:"

RULES: Mapping[str, Who] = MappingProxyType(
    {
        _SERVERS + "index": Who.READER,
        _SERVERS + "detail": Who.READER,
        _SERVERS + "show": Who.READER,
        _SERVERS + "create": Who.MEMBER,
        _SERVERS + "create:forced_host": Who.ADMIN,
        "compute:servers:create:requested_destination": Who.ADMIN,
        _SERVERS + "create:zero_disk_flavor": Who.ADMIN,
        _SERVERS + "delete": Who.MEMBER,
        _SERVERS + "update": Who.MEMBER,
        _SERVERS + "start": Who.MEMBER,
        _SERVERS + "stop": Who.MEMBER,
        _SERVERS + "reboot": Who.MEMBER,
        "os_compute_api:os-lock-server:lock": Who.MEMBER,
        "os_compute_api:os-lock-server:unlock": Who.MEMBER,
        "os_compute_api:os-lock-server:unlock:unlock_override": Who.ADMIN,
        "os_compute_api:os-admin-actions:reset_state": Who.ADMIN,
        "os_compute_api:os-server-diagnostics": Who.ADMIN,
        "compute:server:topology:index": Who.READER,
        "os_compute_api:os-server-password:show": Who.READER,
        "os_compute_api:os-server-password:clear": Who.MEMBER,
        "os_compute_api:os-server-groups:index": Who.READER,
        "os_compute_api:os-server-groups:index:all_projects": Who.ADMIN,
        "os_compute_api:os-server-groups:show": Who.READER,
        "os_compute_api:os-server-groups:create": Who.MEMBER,
        "os_compute_api:os-server-groups:delete": Who.MEMBER,
        "os_compute_api:os-server-tags:index": Who.READER,
        "os_compute_api:os-server-tags:show": Who.READER,
        "os_compute_api:os-server-tags:update": Who.MEMBER,
        "os_compute_api:os-server-tags:update_all": Who.MEMBER,
        "os_compute_api:os-server-tags:delete": Who.MEMBER,
        "os_compute_api:os-server-tags:delete_all": Who.MEMBER,
        "os_compute_api:os-pause-server:pause": Who.MEMBER,
        "os_compute_api:os-pause-server:unpause": Who.MEMBER,
        "os_compute_api:os-suspend-server:suspend": Who.MEMBER,
        "os_compute_api:os-suspend-server:resume": Who.MEMBER,
        _SERVERS + "index:get_all_tenants": Who.ADMIN,
        _SERVERS + "detail:get_all_tenants": Who.ADMIN,
        _SERVERS + "allow_all_filters": Who.ADMIN,
        _SERVERS + "show:host_status": Who.ADMIN,
        "os_compute_api:os-extended-server-attributes": Who.ADMIN,
        "os_compute_api:os-console-output": Who.MEMBER,
        "os_compute_api:ips:index": Who.READER,
        "os_compute_api:ips:show": Who.READER,
        "os_compute_api:server-metadata:index": Who.READER,
        "os_compute_api:server-metadata:show": Who.READER,
        "os_compute_api:server-metadata:create": Who.MEMBER,
        "os_compute_api:server-metadata:update_all": Who.MEMBER,
        "os_compute_api:server-metadata:update": Who.MEMBER,
        "os_compute_api:server-metadata:delete": Who.MEMBER,
        "os_compute_api:os-flavor-manage:create": Who.ADMIN,
        "os_compute_api:os-flavor-manage:update": Who.ADMIN,
        "os_compute_api:os-flavor-manage:delete": Who.ADMIN,
        "os_compute_api:os-flavor-extra-specs:index": Who.READER,
        "os_compute_api:os-flavor-extra-specs:show": Who.READER,
        "os_compute_api:os-flavor-extra-specs:create": Who.ADMIN,
        "os_compute_api:os-flavor-extra-specs:update": Who.ADMIN,
        "os_compute_api:os-flavor-extra-specs:delete": Who.ADMIN,
        "os_compute_api:os-flavor-access": Who.ADMIN,
        "os_compute_api:os-flavor-access:add_tenant_access": Who.ADMIN,
        "os_compute_api:os-flavor-access:remove_tenant_access": Who.ADMIN,
        "os_compute_api:os-security-groups:get": Who.READER,
        "os_compute_api:os-security-groups:show": Who.READER,
        "os_compute_api:os-security-groups:create": Who.MEMBER,
        "os_compute_api:os-security-groups:update": Who.MEMBER,
        "os_compute_api:os-security-groups:delete": Who.MEMBER,
        "os_compute_api:os-security-groups:rule:create": Who.MEMBER,
        "os_compute_api:os-security-groups:rule:delete": Who.MEMBER,
        "os_compute_api:os-security-groups:list": Who.READER,
        "os_compute_api:os-security-groups:add": Who.MEMBER,
        "os_compute_api:os-security-groups:remove": Who.MEMBER,
        "os_compute_api:os-instance-actions:list": Who.READER,
        "os_compute_api:os-instance-actions:show": Who.READER,
        "os_compute_api:os-instance-actions:events": Who.ADMIN,
        "os_compute_api:os-instance-actions:events:details": Who.ADMIN,
        "os_compute_api:limits:other_project": Who.ADMIN,
        "os_compute_api:os-quota-sets:show": Who.READER,
        "os_compute_api:os-quota-sets:detail": Who.READER,
        "os_compute_api:os-quota-sets:update": Who.ADMIN,
        "os_compute_api:os-quota-sets:delete": Who.ADMIN,
        "os_compute_api:os-quota-class-sets:show": Who.ADMIN,
        "os_compute_api:os-quota-class-sets:update": Who.ADMIN,
        "os_compute_api:os-availability-zone:detail": Who.ADMIN,
        "os_compute_api:os-services:list": Who.ADMIN,
        "os_compute_api:os-services:update": Who.ADMIN,
        "os_compute_api:os-services:delete": Who.ADMIN,
        "os_compute_api:os-hosts:list": Who.ADMIN,
        "os_compute_api:os-hosts:show": Who.ADMIN,
        "os_compute_api:os-hosts:update": Who.ADMIN,
        "os_compute_api:os-hosts:start": Who.ADMIN,
        "os_compute_api:os-hosts:shutdown": Who.ADMIN,
        "os_compute_api:os-hosts:reboot": Who.ADMIN,
        "os_compute_api:os-simple-tenant-usage:list": Who.ADMIN,
        "os_compute_api:os-simple-tenant-usage:show": Who.READER,
        "os_compute_api:os-instance-usage-audit-log:list": Who.ADMIN,
        "os_compute_api:os-instance-usage-audit-log:show": Who.ADMIN,
        "os_compute_api:os-aggregates:index": Who.ADMIN,
        "os_compute_api:os-hypervisors:list": Who.ADMIN,
        "os_compute_api:os-hypervisors:list-detail": Who.ADMIN,
        "os_compute_api:os-hypervisors:show": Who.ADMIN,
        "os_compute_api:os-hypervisors:statistics": Who.ADMIN,
        "os_compute_api:os-hypervisors:uptime": Who.ADMIN,
        "os_compute_api:os-hypervisors:search": Who.ADMIN,
        "os_compute_api:os-hypervisors:servers": Who.ADMIN,
    }
)


def allows(caller: Caller, rule: str) -> bool:
    """Tell whether the caller passes this rule within the caller's own project."""
    return caller.is_admin or not caller.roles.isdisjoint(RULES[rule].value - {"admin"})


def check(caller: Caller, rule: str) -> None:
    """Raise Forbidden where the caller does not pass this rule."""
    if not allows(caller, rule):
        raise Forbidden(refusal(rule))


def refusal(rule: str) -> str:
    """Return the words in which a rule refuses."""
    return f"Policy doesn't allow {rule} to be performed."
