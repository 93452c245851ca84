"""What a list's query asks for; a key that is none of Glance's own is a property of the image."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from computecloud.wire.errors import InvalidInput
from images import files
from images.selectors import MOMENT_LOOKUPS, SORT_KEYS, Moment, Order, Wanted
from images.states import MemberStatus, Status, Visibility

LIMIT_DEFAULT = 25
LIMIT_MAX = 1_000
_COLUMNS = {  # query keys that may name several values, and the column each is compared with
    "id": "id",
    "name": "name",
    "status": "status",
    "owner": "project_id",
    "disk_format": "disk_format",
    "container_format": "container_format",
}
_OTHER_KEYS = frozenset(
    {"limit", "marker", "sort", "sort_key", "sort_dir", "visibility", "member_status", "tag", "protected"}
    | {"os_hidden", "size_min", "size_max", "created_at", "updated_at"}
)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A list's query, understood."""

    wanted: Wanted
    orders: tuple[Order, ...]
    limit: int
    marker: UUID | None


def read(query: QueryDict) -> ListQuery:
    """Return what the query asks for; raises InvalidInput."""
    if any("\0" in text for key, texts in query.lists() for text in (key, *texts)):
        raise InvalidInput("The query holds a NUL character.")
    last = {key: texts[-1] for key, texts in query.lists()}
    marker = last.get("marker")
    if marker is not None and not files.is_uuid(marker):
        raise InvalidInput(f"Invalid marker: '{marker[:64]}' is no image ID.")
    return ListQuery(
        wanted=_wanted(query, last),
        orders=_orders(query, last),
        limit=min(_number(last, "limit", LIMIT_DEFAULT) or 0, LIMIT_MAX),
        marker=UUID(marker) if marker else None,
    )


def _wanted(query: QueryDict, last: Mapping[str, str]) -> Wanted:
    visibility = last.get("visibility")
    member_status = last.get("member_status", MemberStatus.ACCEPTED)
    return Wanted(
        one_of={column: _values(last[key], key) for key, column in _COLUMNS.items() if key in last},
        visibility=None if visibility in (None, "all") else _choice(Visibility, "visibility", visibility),
        foreign_community=visibility in ("all", Visibility.COMMUNITY),
        member_status=None
        if member_status == "all"
        else _choice(MemberStatus, "member_status", member_status),
        tags=query.getlist("tag"),
        protected=_boolean(last, "protected"),
        hidden=bool(_boolean(last, "os_hidden")),
        size_min_bytes=_number(last, "size_min"),
        size_max_bytes=_number(last, "size_max"),
        moments=[_moment(key, text) for key in ("created_at", "updated_at") for text in query.getlist(key)],
        properties={key: text for key, text in last.items() if key not in _OTHER_KEYS | _COLUMNS.keys()},
    )


def _values(text: str, key: str) -> list[Any]:
    """Return the values that `text`, or `in:a,"b,c"`, names."""
    texts: list[str] = [text]
    if text.startswith("in:"):
        texts = next(csv.reader([text.removeprefix("in:")]), [])
    if key == "status":
        return [_choice(Status, key, value) for value in texts]
    return [UUID(value) for value in texts if files.is_uuid(value)] if key == "id" else texts


def _orders(query: QueryDict, last: Mapping[str, str]) -> tuple[Order, ...]:
    """Return the order asked for, newest first by default; age and id settle what is equal."""
    if "sort" in last and ("sort_key" in last or "sort_dir" in last):
        raise InvalidInput("Old and new sorting syntax cannot be combined.")
    if "sort" in last:
        pairs = [part.strip().partition(":")[::2] for part in last["sort"].split(",")]
    else:
        keys = query.getlist("sort_key") or ["created_at"]
        directions = query.getlist("sort_dir") or ["desc"]
        if len(directions) not in (1, len(keys)):
            raise InvalidInput("Number of sort dirs does not match the number of sort keys.")
        pairs = list(zip(keys, directions * len(keys), strict=False))
    orders = {key: _descending(key, direction or "desc") for key, direction in pairs}
    for key in ("created_at", "id"):
        orders.setdefault(key, next(reversed(orders.values())))
    return tuple(Order(key, descending) for key, descending in orders.items())


def _descending(key: str, direction: str) -> bool:
    if key not in SORT_KEYS:
        raise InvalidInput(f"Invalid sort key: {key[:64]}. It must be one of {', '.join(SORT_KEYS)}.")
    if direction not in ("asc", "desc"):
        raise InvalidInput(f"Invalid sort direction: {direction[:64]}. It must be asc or desc.")
    return direction == "desc"


def _number(last: Mapping[str, str], key: str, default: int | None = None) -> int | None:
    text = last.get(key)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidInput(f"{key} must be a whole number that is not negative.")
    return int(text)


def _boolean(last: Mapping[str, str], key: str) -> bool | None:
    text = last.get(key)
    if text is None:
        return None
    if text.lower() not in _BOOLEANS:
        raise InvalidInput(f"{key} must be true or false.")
    return _BOOLEANS[text.lower()]


def _choice(kind: type[Choice], key: str, text: str) -> Choice:
    try:
        return kind(text)
    except ValueError:
        raise InvalidInput(
            f"Invalid {key} value: {text[:64]}. It must be one of {', '.join(kind)}."
        ) from None


def _moment(column: str, text: str) -> Moment:
    """Return the comparison that `2026-01-31T12:00:00Z` or `gt:2026-01-31T12:00:00Z` asks for."""
    lookup, _, rest = text.partition(":")
    if lookup not in MOMENT_LOOKUPS:
        lookup, rest = "eq", text
    try:
        at = parse_datetime(rest)
    except ValueError:
        at = None
    if at is None:
        raise InvalidInput(f"{column} must be a time like 2026-01-31T12:00:00Z, gt: or lt: before it.")
    return Moment(column, lookup, make_aware(at) if is_naive(at) else at)
