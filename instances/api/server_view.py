"""Servers as the API shows them: a compiled projection becomes a list of columns and one function from row to view.

The same path serves one server and a thousand. Columns whose value is the view's are taken by position; JSON columns
pass through unparsed; only what depends on several columns or on the request is made here.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db.models import QuerySet
from orjson import Fragment

from computecloud.wire.changes import Projection
from instances import rows
from instances.models import Instance
from instances.states import HAS_FAULT, HAS_PROGRESS, STATUS

Row = Sequence[Any]
Maker = Callable[[Row], Any]
ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a view takes from the request: link roots (with and without version), host statuses, who may read faults."""

    versioned: str
    unversioned: str
    host_status: Mapping[str, str] = field(default_factory=dict)
    whole_faults: bool = False


@dataclass(frozen=True, slots=True)
class _Source:
    """Where one key of the superset comes from: a column as it is, a JSON column, or a function of `needs`."""

    column: str = ""
    document: str = ""
    needs: tuple[str, ...] = ()
    make: Callable[[Mapping[str, int], Setting], Maker] | None = None


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()[1:-1]


def _links(at: Mapping[str, int], setting: Setting) -> Maker:
    number = at["id"]
    before = f'[{{"rel":"self","href":"{_quoted(setting.versioned)}/servers/'
    between = f'"}},{{"rel":"bookmark","href":"{_quoted(setting.unversioned)}/servers/'
    return lambda row: Fragment(f'{before}{row[number]}{between}{row[number]}"}}]')


def _status(at: Mapping[str, int], _setting: Setting) -> Maker:
    vm, task = at["vm_state"], at["task_state"]
    return lambda row: STATUS.get((row[vm], row[task]), "UNKNOWN")


def _progress(at: Mapping[str, int], setting: Setting) -> Maker:
    status, number = _status(at, setting), at["progress"]
    return lambda row: row[number] if status(row) in HAS_PROGRESS else ABSENT


def _fault(at: Mapping[str, int], setting: Setting) -> Maker:
    status, number = _status(at, setting), at["fault"]

    def make(row: Row) -> Any:
        if row[number] is None or row[number] == "null" or status(row) not in HAS_FAULT:
            return ABSENT
        fault = orjson.loads(row[number])
        if (not setting.whole_faults and fault["code"] == 500) or not fault.get("details"):
            fault.pop("details", None)
        return fault

    return make


@lru_cache(maxsize=4_096)
def host_id(project_id: str, host: str | None) -> str:
    """Return the name by which a tenant may know a host: the same for a project's servers on it, telling nothing."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def _host_id(at: Mapping[str, int], _setting: Setting) -> Maker:
    project, host = at["project_id"], at["host"]
    return lambda row: host_id(row[project], row[host])


def _host_status(at: Mapping[str, int], setting: Setting) -> Maker:
    host = at["host"]
    return lambda row: setting.host_status.get(row[host], "UNKNOWN") if row[host] else ""


def _flavor_link(at: Mapping[str, int], setting: Setting) -> Maker:
    number = at["flavor_id"]
    seen: dict[str, Fragment] = {}

    def make(row: Row) -> Fragment:
        flavor_id = row[number]
        if flavor_id not in seen:
            link = {"rel": "bookmark", "href": f"{setting.unversioned}/flavors/{flavor_id}"}
            seen[flavor_id] = Fragment(orjson.dumps({"id": flavor_id, "links": [link]}))
        return seen[flavor_id]

    return make


def _image_link(at: Mapping[str, int], setting: Setting) -> Maker:
    number = at["image_id"]
    middle = f'","links":[{{"rel":"bookmark","href":"{_quoted(setting.unversioned)}/images/'
    return lambda row: Fragment(f'{{"id":"{row[number]}{middle}{row[number]}"}}]}}') if row[number] else ""


def _image(at: Mapping[str, int], setting: Setting) -> Maker:
    number, properties = at["image_id"], at["image_properties"]
    middle = f'","links":[{{"rel":"bookmark","href":"{_quoted(setting.unversioned)}/images/'
    return lambda row: (
        Fragment(f'{{"id":"{row[number]}{middle}{row[number]}"}}],"properties":{row[properties]}}}')
        if row[number]
        else ""
    )


def _security_groups(at: Mapping[str, int], _setting: Setting) -> Maker:
    number = at["security_groups"]
    return lambda row: ABSENT if row[number] == "[]" else Fragment(row[number])


def _volume_ids(at: Mapping[str, int], _setting: Setting) -> Maker:
    number = at["volumes"]
    return lambda row: [{"id": one["id"]} for one in orjson.loads(row[number])]


def _locked(at: Mapping[str, int], _setting: Setting) -> Maker:
    number = at["locked_by"]
    return lambda row: row[number] != ""


def _groups(at: Mapping[str, int], _setting: Setting) -> Maker:
    number = at["group"]
    return lambda row: [str(UUID(str(row[number])))] if row[number] else []


def _made(make: Callable[[Mapping[str, int], Setting], Maker], *needs: str) -> _Source:
    return _Source(needs=needs, make=make)


_STATES = ("vm_state", "task_state")

SOURCES: Mapping[str, _Source] = {
    "id": _Source("id"),
    "name": _Source("name"),
    "links": _made(_links, "id"),
    "status": _made(_status, *_STATES),
    "tenant_id": _Source("project_id"),
    "user_id": _Source("user_id"),
    "metadata": _Source(document="metadata"),
    "hostId": _made(_host_id, "project_id", "host"),
    "image_link": _made(_image_link, "image_id"),
    "image": _made(_image, "image_id", "image_properties"),
    "flavor_link": _made(_flavor_link, "flavor_id"),
    "flavor": _Source(document="flavor"),
    "created": _Source("created_at"),
    "updated": _Source("updated_at"),
    "addresses": _Source(document="addresses"),
    "accessIPv4": _Source("access_ip_v4"),
    "accessIPv6": _Source("access_ip_v6"),
    "progress": _made(_progress, "progress", *_STATES),
    "fault": _made(_fault, "fault", *_STATES),
    "key_name": _Source("key_name"),
    "config_drive": _Source("config_drive"),
    "security_groups": _made(_security_groups, "security_groups"),
    "OS-DCF:diskConfig": _Source("auto_disk_config"),
    "OS-EXT-AZ:availability_zone": _Source("availability_zone"),
    "OS-EXT-STS:power_state": _Source("power_state"),
    "OS-EXT-STS:task_state": _Source("task_state"),
    "OS-EXT-STS:vm_state": _Source("vm_state"),
    "OS-SRV-USG:launched_at": _Source("launched_at"),
    "OS-SRV-USG:terminated_at": _Source("terminated_at"),
    "volume_ids": _made(_volume_ids, "volumes"),
    "volumes": _Source(document="volumes"),
    "OS-EXT-SRV-ATTR:host": _Source("host"),
    "OS-EXT-SRV-ATTR:hypervisor_hostname": _Source("node"),
    "OS-EXT-SRV-ATTR:instance_name": _Source("number"),
    "OS-EXT-SRV-ATTR:hostname": _Source("hostname"),
    "OS-EXT-SRV-ATTR:kernel_id": _Source("kernel_id"),
    "OS-EXT-SRV-ATTR:launch_index": _Source("launch_index"),
    "OS-EXT-SRV-ATTR:ramdisk_id": _Source("ramdisk_id"),
    "OS-EXT-SRV-ATTR:reservation_id": _Source("reservation_id"),
    "OS-EXT-SRV-ATTR:root_device_name": _Source("root_device_name"),
    "OS-EXT-SRV-ATTR:user_data": _Source("user_data"),
    "locked": _made(_locked, "locked_by"),
    "host_status": _made(_host_status, "host"),
    "description": _Source("description"),
    "tags": _Source(document="tags"),
    "trusted_image_certificates": _Source(document="trusted_certs"),
    "server_groups": _made(_groups, "group"),
    "locked_reason": _Source("locked_reason"),
    "pinned_availability_zone": _Source("pinned_zone"),
    "scheduler_hints": _Source(document="scheduler_hints"),
}


def views(servers: QuerySet[Instance], projection: Projection, setting: Setting) -> list[dict[str, Any]]:
    """Return these servers as the projection shows them; one query, whatever their number."""
    columns, keys, documents, makers, maybe = _compiled(projection, setting)
    found = []
    for row in rows.fetch(servers, columns):
        view = dict(zip(keys, row, strict=False))
        for key, number in documents:
            text = row[number]
            view[key] = None if text is None else Fragment(text)
        for key, make in makers:
            view[key] = make(row)
        for key, make in maybe:
            value = make(row)
            if value is not ABSENT:
                view[key] = value
        found.append(view)
    return found


def _compiled(
    projection: Projection, setting: Setting
) -> tuple[
    list[str], tuple[str, ...], list[tuple[str, int]], list[tuple[str, Maker]], list[tuple[str, Maker]]
]:
    """Return columns, the keys of the first of them, JSON columns by position, makers, makers that may have nothing."""
    columns = [_first_column(SOURCES[source]) for source in projection.sources]
    at: dict[str, int] = {column: number for number, column in enumerate(columns) if column != rows.NOTHING}
    optional = [(key, SOURCES[source]) for key, source in projection.optional]
    made = [(key, SOURCES[source]) for key, source in zip(projection.keys, projection.sources, strict=True)]
    for needed in _needs(source for _, source in [*made, *optional]):
        if needed not in at:
            at[needed] = len(columns)
            columns.append(needed)
    documents = [(key, at[source.document]) for key, source in made if source.document]
    return (
        columns,
        projection.keys,
        documents,
        [(key, source.make(at, setting)) for key, source in made if source.make],
        [(key, source.make(at, setting)) for key, source in optional if source.make],
    )


def _first_column(source: _Source) -> str:
    return source.column or source.document or rows.NOTHING


def _needs(sources: Iterable[_Source]) -> Iterable[str]:
    for source in sources:
        yield from source.needs
