"""Who sees which images, and how they are found."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, CharField, F, Q, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Coalesce

from computecloud.wire.errors import Forbidden, InvalidInput, NotFound
from identity import policy
from identity.caller import Caller
from images.models import Image, ImageMember
from images.states import MemberStatus, Status, Visibility

MOMENT_LOOKUPS = frozenset({"gt", "gte", "lt", "lte", "eq", "neq"})

# Glance's sort keys; what may be null is given a value, because databases disagree on where nulls go.
SORT_KEYS: dict[str, Combinable] = {
    "id": F("id"),
    "name": Coalesce("name", Value(""), output_field=CharField()),
    "status": F("status"),
    "disk_format": Coalesce("disk_format", Value(""), output_field=CharField()),
    "container_format": Coalesce("container_format", Value(""), output_field=CharField()),
    "size": Coalesce("size_bytes", Value(-1), output_field=BigIntegerField()),
    "created_at": F("created_at"),
    "updated_at": F("updated_at"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A comparison with a time; lookup is one of MOMENT_LOOKUPS."""

    column: str
    lookup: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which images a caller asks for; what is empty or None does not filter."""

    one_of: Mapping[str, Collection[Any]] = field(default_factory=dict)  # column of Image to allowed values
    visibility: Visibility | None = None
    foreign_community: bool = False
    member_status: MemberStatus | None = MemberStatus.ACCEPTED
    tags: Collection[str] = ()
    protected: bool | None = None
    hidden: bool = False
    size_min_bytes: int | None = None
    size_max_bytes: int | None = None
    moments: Collection[Moment] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key of SORT_KEYS."""

    key: str
    descending: bool


def visible(caller: Caller) -> QuerySet[Image]:
    """Return the images that caller may look at by id."""
    return _live().filter(_visible_to(caller, member_status=None))


def get(image_id: UUID, caller: Caller, *, with_tags: bool = True) -> Image:
    """Return an image that caller may look at; raises NotFound."""
    found = _live() if with_tags else _live().prefetch_related(None)
    image = found.filter(id=image_id).first()
    if image is None:
        raise missing(image_id)
    # Nearly every image is asked for by its own project or is for all; the rule's whole query costs a boot a tenth.
    plainly = image.project_id == caller.project_id or image.visibility == Visibility.PUBLIC
    if not plainly and not visible(caller).filter(id=image_id).exists():
        raise missing(image_id)
    return image


def get_for_change(image_id: UUID, caller: Caller) -> Image:
    """Return an image that caller may change; raises NotFound where it is not his to see, else Forbidden."""
    image = get(image_id, caller)
    require_writer(caller)
    if not caller.is_admin and image.project_id != caller.project_id:
        raise Forbidden(f"Image {image_id} belongs to another project; only its owner may change it.")
    return image


def require_writer(caller: Caller) -> None:
    """Raise Forbidden where caller's roles only let him read."""
    if not caller.is_admin:
        policy.require(caller, policy.MEMBER)


def members(image_id: UUID, caller: Caller) -> list[ImageMember]:
    """Return whom an image is shared with, to a member only itself; raises NotFound."""
    image = get(image_id, caller)
    found = ImageMember.objects.filter(image=image).order_by("project_id")
    if not caller.is_admin and image.project_id != caller.project_id:
        found = found.filter(project_id=caller.project_id or "")
    return list(found)


def member(image_id: UUID, project_id: str, caller: Caller) -> ImageMember:
    """Return one membership; raises NotFound where there is none that caller may see."""
    for found in members(image_id, caller):
        if found.project_id == project_id:
            return found
    raise NotFound(f"Image {image_id} is not shared with project {project_id}.")


def missing(image_id: UUID) -> NotFound:
    """Return the error for an image that is not there, or not for this caller."""
    return NotFound(f"No image found with ID {image_id}")


def find(caller: Caller, wanted: Wanted) -> QuerySet[Image]:
    """Return the images that caller sees in lists and asks for, in no order."""
    found = _live().filter(_visible_to(caller, member_status=wanted.member_status), hidden=wanted.hidden)
    for column, values in wanted.one_of.items():
        found = found.filter(**{f"{column}__in": list(values)})
    for tag in wanted.tags:
        found = found.filter(tags__value=tag)
    for index, (key, text) in enumerate(wanted.properties.items()):
        name = f"property_{index}"
        found = found.alias(**{name: KeyTransform(key, "properties")}).filter(**{name: text})
    if not wanted.foreign_community and not caller.is_admin:
        found = found.filter(~Q(visibility=Visibility.COMMUNITY) | Q(project_id=caller.project_id))
    return _narrow(found, wanted)


def page(
    caller: Caller, wanted: Wanted, orders: Sequence[Order], *, marker: UUID | None, limit: int
) -> list[Image]:
    """Return up to limit of the images asked for that follow marker; raises InvalidInput for a bad marker."""
    sorted_by = {_column(order): SORT_KEYS[order.key] for order in orders}
    found = find(caller, wanted).annotate(**sorted_by)
    if marker is not None:
        last = visible(caller).annotate(**sorted_by).filter(id=marker).first()
        if last is None:
            raise InvalidInput(f"Marker {marker} is no image that can be seen; begin the list anew.")
        found = found.filter(_after(last, orders))
    columns = [F(_column(order)).desc() if order.descending else F(_column(order)).asc() for order in orders]
    return list(found.order_by(*columns)[:limit])


def _live() -> QuerySet[Image]:
    return Image.objects.exclude(status=Status.DELETED).prefetch_related("tags")


def _visible_to(caller: Caller, *, member_status: MemberStatus | None) -> Q:
    if caller.is_admin:
        return Q()
    seen = Q(visibility__in=[Visibility.PUBLIC, Visibility.COMMUNITY])
    if caller.project_id is None:
        return seen
    offers = ImageMember.objects.filter(project_id=caller.project_id)
    if member_status is not None:
        offers = offers.filter(status=member_status)
    shared = Q(visibility=Visibility.SHARED, id__in=offers.values("image_id"))
    return seen | shared | Q(project_id=caller.project_id)


def _narrow(found: QuerySet[Image], wanted: Wanted) -> QuerySet[Image]:
    bounds = {
        "visibility": wanted.visibility,
        "protected": wanted.protected,
        "size_bytes__gte": wanted.size_min_bytes,
        "size_bytes__lte": wanted.size_max_bytes,
    }
    found = found.filter(**{lookup: value for lookup, value in bounds.items() if value is not None})
    for moment in wanted.moments:
        if moment.lookup == "neq":
            found = found.exclude(**{moment.column: moment.at})
        elif moment.lookup == "eq":
            found = found.filter(**{moment.column: moment.at})
        else:
            found = found.filter(**{f"{moment.column}__{moment.lookup}": moment.at})
    return found


def _after(last: Image, orders: Sequence[Order]) -> Q:
    """Return the condition of what follows last: beyond it in one key and equal in all before that one."""

    def beyond(index: int) -> Q:
        same = {_column(order): getattr(last, _column(order)) for order in orders[:index]}
        column = _column(orders[index])
        side = "lt" if orders[index].descending else "gt"
        return Q(**same, **{f"{column}__{side}": getattr(last, column)})

    return reduce(or_, (beyond(index) for index in range(len(orders))))


def _column(order: Order) -> str:
    return f"by_{order.key}"
