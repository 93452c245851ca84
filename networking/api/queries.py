"""Reading a list's query: filters, fields, order and page. A key that means nothing is refused, not ignored."""

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import F, Model, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast
from django.db.models.lookups import Regex
from django.http import QueryDict

from computecloud.wire.errors import InvalidInput
from networking.models import Port, PortGroup

LIMIT_MAX = 1_000
VALUES_MAX = 500
PAGING = {"fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse"}
M = TypeVar("M", bound=Model)
Condition = Callable[[list[str]], Q]


@dataclass(frozen=True, slots=True)
class Collection:
    """What a list may be filtered and sorted by: keys of the API, each with its condition or column."""

    conditions: Mapping[str, Condition]
    order: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks for."""

    condition: Q
    fields: frozenset[str]
    order: tuple[str, ...]  # columns, with a minus where descending; the id is always last
    limit: int
    marker: UUID | None
    reverse: bool

    def page(self, rows: QuerySet[M]) -> list[M]:
        """Return the page of these rows; raises InvalidInput where the marker is not among them."""
        found = rows.filter(self.condition).order_by(*self._sorted())
        if self.marker is not None:
            mark = rows.filter(pk=self.marker).values(*{column.lstrip("-") for column in self.order}).first()
            if mark is None:
                raise InvalidInput(f"The marker {self.marker} is not one of these.")
            found = found.filter(_behind(self._sorted(), mark))
        page = list(found[: self.limit])
        return page[::-1] if self.reverse else page

    def shown(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the document that were asked for."""
        return {key: document[key] for key in document if key in self.fields} if self.fields else document

    def _sorted(self) -> tuple[str, ...]:
        if not self.reverse:
            return self.order
        return tuple(column[1:] if column.startswith("-") else f"-{column}" for column in self.order)


def read(query: QueryDict, collection: Collection) -> Asked:
    """Return what the query asks for; raises InvalidInput."""
    condition = Q()
    for key, values in query.lists():
        if key in PAGING:
            continue
        if key not in collection.conditions:
            raise InvalidInput(f"'{key[:64]}' is not a valid attribute to filter by.")
        if len(values) > VALUES_MAX or any("\0" in value for value in values):
            raise InvalidInput(f"Too many values, or wrong ones, for '{key}'.")
        condition &= collection.conditions[key]([str(value) for value in values])
    return Asked(
        condition=condition,
        fields=frozenset(str(name) for name in query.getlist("fields") if name),
        order=_order(query, collection),
        limit=_limit(query.get("limit")),
        marker=_uuid(marker, "marker") if (marker := query.get("marker")) else None,
        reverse=_boolean(query.get("page_reverse", "false"), "page_reverse"),
    )


def _order(query: QueryDict, collection: Collection) -> tuple[str, ...]:
    keys, directions = query.getlist("sort_key"), query.getlist("sort_dir")
    if directions and len(directions) != len(keys):
        raise InvalidInput("The number of sort_keys and sort_dirs must be the same.")
    columns = []
    for key, direction in zip(keys, directions or ["asc"] * len(keys), strict=True):
        if key not in collection.order or direction not in ("asc", "desc"):
            raise InvalidInput(f"'{str(key)[:64]} {str(direction)[:8]}' is not a valid order.")
        columns.append(("-" if direction == "desc" else "") + collection.order[str(key)])
    return (*(dict.fromkeys(columns or ["created_at"])), "id")


def _behind(order: tuple[str, ...], mark: Mapping[str, Any]) -> Q:
    """Return the condition that a row comes behind the marked one in this order."""
    alternatives = []
    for index, column in enumerate(order):
        name = column.lstrip("-")
        same = Q(**{earlier.lstrip("-"): mark[earlier.lstrip("-")] for earlier in order[:index]})
        alternatives.append(same & Q(**{f"{name}__{'lt' if column.startswith('-') else 'gt'}": mark[name]}))
    return reduce(operator.or_, alternatives)


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT_MAX
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidInput("Limit must be an integer 0 or greater and not 'all'.")
    return min(int(text) or LIMIT_MAX, LIMIT_MAX)


def _uuid(text: str, key: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(f"Invalid input for {key}. Reason: '{text[:64]}' is not a valid UUID.") from None


def _boolean(text: str, key: str) -> bool:
    if text.lower() in ("true", "1", "t", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "f", "no", "off"):
        return False
    raise InvalidInput(f"Invalid input for {key}. Reason: '{text[:64]}' cannot be converted to boolean.")


def _text(column: str) -> Condition:
    return lambda values: Q(**{f"{column}__in": values})


def _ids(column: str) -> Condition:
    """Match ids; what is no id matches nothing, as names that clients try as ids should."""

    def condition(values: list[str]) -> Q:
        found = [UUID(value) for value in values if _is_uuid(value)]
        return Q(**{f"{column}__in": found})

    return condition


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _flags(column: str) -> Condition:
    return lambda values: Q(**{f"{column}__in": {_boolean(value, column) for value in values}})


def _numbers(column: str) -> Condition:
    def condition(values: list[str]) -> Q:
        if not all(value.isascii() and value.isdigit() and len(value) < 10 for value in values):
            raise InvalidInput(f"Invalid input for {column}. Reason: it is not an integer.")
        return Q(**{f"{column}__in": [int(value) for value in values]})

    return condition


def _ethertypes(values: list[str]) -> Q:
    return Q(ip_version__in=[{"ipv4": 4, "ipv6": 6}.get(value.lower(), 0) for value in values])


def _always(value: str) -> Condition:
    """Match a key whose value is the same for all."""
    return lambda values: Q() if value in values else Q(pk=None)


def _groups(values: list[str]) -> Q:
    return Q(pk__in=PortGroup.objects.filter(_ids("group")(values)).values("port"))


def _fixed_ips(values: list[str]) -> Q:
    """Match ports by an address, a part of one, or a subnet: `ip_address=…`, `ip_address_substr=…`, `subnet_id=…`."""
    wanted: dict[str, list[str]] = {}
    for value in values:
        key, _, operand = value.partition("=")
        if key not in ("ip_address", "ip_address_substr", "subnet_id"):
            raise InvalidInput(
                f"Invalid input for fixed_ips. Reason: '{value[:64]}' is not key=value of an address."
            )
        wanted.setdefault(key, []).append(operand)
    condition = Q()
    if "ip_address" in wanted:
        condition &= Q(addresses__address__in=wanted["ip_address"])
    if "subnet_id" in wanted:
        condition &= Q(addresses__subnet__in=[_uuid(value, "subnet_id") for value in wanted["subnet_id"]])
    for part in wanted.get("ip_address_substr", []):
        condition &= Q(addresses__address__contains=part)
    return Q(pk__in=Port.objects.filter(condition).values("pk"))


def _tags(*, every: bool, wanted: bool) -> Condition:
    """Match rows by their tags, each value a list with commas: all of them, or any; looked for in the JSON text."""

    def condition(values: list[str]) -> Q:
        found = Q()
        for tag in filter(None, ",".join(values).split(",")):
            text = Cast(F("tags"), TextField())
            one = Q(Regex(text, Value(re.escape(json.dumps(tag, ensure_ascii=False)))))
            found = (found & one) if every else (found | one)
        return found if wanted or not found else ~found

    return condition


_TAGS: dict[str, Condition] = {
    "tags": _tags(every=True, wanted=True),
    "tags-any": _tags(every=False, wanted=True),
    "not-tags": _tags(every=True, wanted=False),
    "not-tags-any": _tags(every=False, wanted=False),
}
_OWNED: dict[str, Condition] = {
    "id": _ids("id"),
    "name": _text("name"),
    "description": _text("description"),
    "project_id": _text("project_id"),
    "tenant_id": _text("project_id"),
    "revision_number": _numbers("revision"),
}
_ORDER = {
    "id": "id",
    "name": "name",
    "project_id": "project_id",
    "tenant_id": "project_id",
    "created_at": "created_at",
    "updated_at": "updated_at",
}
NETWORKS: Collection = Collection(
    {
        **_OWNED,
        **_TAGS,
        "status": _always("ACTIVE"),
        "admin_state_up": _flags("admin_state_up"),
        "shared": _flags("shared"),
        "router:external": _flags("external"),
        "mtu": _numbers("mtu"),
        "port_security_enabled": _flags("port_security_enabled"),
    },
    {**_ORDER, "mtu": "mtu", "admin_state_up": "admin_state_up", "shared": "shared"},
)
SUBNETS: Collection = Collection(
    {
        **_OWNED,
        **_TAGS,
        "network_id": _ids("network"),
        "ip_version": _numbers("ip_version"),
        "cidr": _text("cidr"),
        "gateway_ip": _text("gateway_ip"),
        "enable_dhcp": _flags("enable_dhcp"),
        "ipv6_ra_mode": _text("ipv6_ra_mode"),
        "ipv6_address_mode": _text("ipv6_address_mode"),
    },
    {**_ORDER, "cidr": "cidr", "ip_version": "ip_version"},
)
PORTS: Collection = Collection(
    {
        **_OWNED,
        **_TAGS,
        "network_id": _ids("network"),
        "mac_address": _text("mac"),
        "device_id": _text("device_id"),
        "device_owner": _text("device_owner"),
        "status": _text("status"),
        "admin_state_up": _flags("admin_state_up"),
        "fixed_ips": _fixed_ips,
        "security_groups": _groups,
        "port_security_enabled": _flags("port_security_enabled"),
        "binding:host_id": _text("host"),
    },
    {
        **_ORDER,
        "mac_address": "mac",
        "device_id": "device_id",
        "device_owner": "device_owner",
        "network_id": "network",
        "status": "status",
        "admin_state_up": "admin_state_up",
    },
)
SECURITY_GROUPS: Collection = Collection({**_OWNED, **_TAGS}, _ORDER)
SECURITY_GROUP_RULES: Collection = Collection(
    {
        **{key: condition for key, condition in _OWNED.items() if key != "name"},
        "security_group_id": _ids("group"),
        "direction": _text("direction"),
        "ethertype": _ethertypes,
        "protocol": _text("protocol"),
        "port_range_min": _numbers("port_min"),
        "port_range_max": _numbers("port_max"),
        "remote_ip_prefix": _text("remote_prefix"),
        "remote_group_id": _ids("remote_group"),
    },
    {
        "id": "id",
        "security_group_id": "group",
        "direction": "direction",
        "ethertype": "ip_version",
        "created_at": "created_at",
    },
)
RBAC_POLICIES: Collection = Collection(
    {
        "id": _ids("id"),
        "project_id": _text("project_id"),
        "tenant_id": _text("project_id"),
        "object_type": _text("object_type"),
        "object_id": _ids("object_id"),
        "action": _text("action"),
        "target_tenant": _text("target"),
    },
    {"id": "id", "object_type": "object_type", "action": "action", "target_tenant": "target"},
)
