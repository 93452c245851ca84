"""Lists of servers: which ones, in which order, and from where on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db.models import Expression, F, OrderBy, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
)

from computecloud.wire.errors import InvalidInput
from instances.models import Instance

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The API's sort keys; those whose column may be NULL with what NULL counts as, so that a marker can be compared.
SORT_KEYS: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "access_ip_v4": ("access_ip_v4", None),
        "access_ip_v6": ("access_ip_v6", None),
        "auto_disk_config": ("auto_disk_config", None),
        "availability_zone": ("availability_zone", None),
        "config_drive": ("config_drive", None),
        "created_at": ("created_at", None),
        "display_description": ("description", ""),
        "display_name": ("name", None),
        "host": ("host", ""),
        "hostname": ("hostname", None),
        "image_ref": ("image_id", UUID(int=0)),
        "instance_type_id": ("flavor_id", None),
        "kernel_id": ("kernel_id", None),
        "key_name": ("key_name", ""),
        "launch_index": ("launch_index", None),
        "launched_at": ("launched_at", _EPOCH),
        "locked": ("locked_by", None),
        "locked_by": ("locked_by", None),
        "node": ("node", ""),
        "power_state": ("power_state", None),
        "progress": ("progress", None),
        "project_id": ("project_id", None),
        "ramdisk_id": ("ramdisk_id", None),
        "root_device_name": ("root_device_name", ""),
        "task_state": ("task_state", ""),
        "terminated_at": ("terminated_at", _EPOCH),
        "updated_at": ("updated_at", None),
        "user_id": ("user_id", None),
        "uuid": ("id", None),
        "vm_state": ("vm_state", None),
    }
)
_FIELDS = {one.name: one for one in Instance._meta.concrete_fields}
DEFAULT_SORT = (("created_at", "desc"), ("uuid", "desc"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which servers: project_id None means every project's; filters are ORM conditions on Instance."""

    project_id: str | None
    filters: Sequence[Q] = ()
    deleted: bool | None = False  # None: both
    sort: Sequence[tuple[str, str]] = DEFAULT_SORT
    marker: UUID | None = None
    limit: int = 1_000


def find(wanted: Wanted) -> QuerySet[Instance]:
    """Return the servers in order from the marker on; raises InvalidInput where the marker is no server seen here."""
    seen = Instance.objects.all()
    if wanted.project_id is not None:
        seen = seen.filter(project_id=wanted.project_id)
    matching = seen.filter(*wanted.filters)
    if wanted.deleted is not None:
        matching = matching.filter(deleted=wanted.deleted)
    order = [_Column(*SORT_KEYS[key], rising=direction == "asc") for key, direction in _whole(wanted.sort)]
    if wanted.marker is not None:
        matching = matching.filter(_after(seen, wanted.marker, order))
    return matching.order_by(*(column.sorting() for column in order))[: wanted.limit]


def _whole(sort: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the order made total, so that no server is shown twice or left out between two pages."""
    keys = [key for key, _ in sort]
    direction = sort[-1][1] if sort else "desc"
    return [*sort, *((key, direction) for key in ("created_at", "uuid") if key not in keys)]


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of the order; `null` is what its NULLs count as, None where it has none."""

    name: str
    null: Any
    rising: bool = field(kw_only=True)

    def expression(self) -> Expression | F:
        if self.null is None:
            return F(self.name)
        return Coalesce(F(self.name), Value(self.null, output_field=_FIELDS[self.name]))

    def sorting(self) -> OrderBy:
        return self.expression().asc() if self.rising else self.expression().desc()

    def past(self, value: Any) -> Q:
        return Q((GreaterThan if self.rising else LessThan)(self.expression(), Value(value)))

    def past_or_level(self, value: Any) -> Q:
        """Say less than past and level do together, in the one form by which an index finds where to begin."""
        return Q((GreaterThanOrEqual if self.rising else LessThanOrEqual)(self.expression(), Value(value)))

    def level(self, value: Any) -> Q:
        return Q(Exact(self.expression(), Value(value)))


def _after(seen: QuerySet[Instance], marker: UUID, order: Sequence[_Column]) -> Q:
    """Return the condition of coming after the marker: past it on one column and level with it on those before."""
    at = seen.filter(id=marker).values(*{column.name for column in order}).first()
    if at is None:
        raise InvalidInput(f"marker [{marker}] not found")
    after, level = Q(pk__in=[]), Q()
    for column in order:
        value = column.null if at[column.name] is None else at[column.name]
        after |= level & column.past(value)
        level &= column.level(value)
    first = order[0]
    return after & first.past_or_level(first.null if at[first.name] is None else at[first.name])
