"""Columns of servers as the API writes them, the cheapest way there is: formatted by the database, fetched raw.

The WHERE and ORDER BY are the ORM's; the SELECT list is ours, because building model objects and parsing dates and
JSON costs three times what a whole list may cost. Dates come as the API's text, JSON columns as text.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DataError, connection
from django.db.models import QuerySet

from computecloud.wire.errors import InvalidInput
from instances.models import Instance
from scheduling.selectors import GROUP_OF

_PLAIN = (
    "name user_id project_id description hostname vm_state task_state power_state progress host node "
    "availability_zone pinned_zone flavor_id kernel_id ramdisk_id root_device_name key_name user_data "
    "access_ip_v4 access_ip_v6 locked_by locked_reason reservation_id launch_index"
)
_DOCUMENTS = (
    "flavor image_properties metadata tags addresses volumes security_groups scheduler_hints trusted_certs "
    "fault"
)
NOTHING = "nothing"  # a column that only keeps a place


def _columns(
    text: Mapping[str, str], *, uuid: str, stamp: str, precise: str, json: str, name: str
) -> Mapping[str, str]:
    """Return the SQL of every column by its name; each pattern has one {} for the column it formats."""
    return MappingProxyType(
        {column: column for column in _PLAIN.split()}
        | {column: json.format(column) for column in _DOCUMENTS.split()}
        | {column: uuid.format(column) for column in ("id", "image_id")}
        | {column: stamp.format(column) for column in ("created_at", "updated_at")}
        | {column: precise.format(column) for column in ("launched_at", "terminated_at")}
        | {"number": name.format("number"), NOTHING: "0", "group": GROUP_OF.format("instances_instance.id")}
        | dict(text)
    )


_WORDS = {
    "config_drive": "CASE WHEN config_drive THEN 'True' ELSE '' END",
    "auto_disk_config": "CASE WHEN auto_disk_config THEN 'AUTO' ELSE 'MANUAL' END",
}
_SQLITE = _columns(
    _WORDS,
    uuid="substr({0},1,8)||'-'||substr({0},9,4)||'-'||substr({0},13,4)||'-'||substr({0},17,4)||'-'||substr({0},21)",
    stamp="substr({0},1,10)||'T'||substr({0},12,8)||'Z'",
    # Django leaves the fraction away where it is zero.
    precise="substr({0},1,10)||'T'||substr({0}||CASE WHEN length({0})=19 THEN '.000000' ELSE '' END,12)",
    json="{0}",
    name="printf('instance-%%08x',{0})",
)
_POSTGRESQL = _columns(
    _WORDS,
    uuid="{0}::text",
    stamp="to_char({0} AT TIME ZONE 'utc','YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    precise="to_char({0} AT TIME ZONE 'utc','YYYY-MM-DD\"T\"HH24:MI:SS.US')",
    json="{0}::text",
    name="'instance-'||lpad(to_hex({0}),8,'0')",
)


def fetch(servers: QuerySet[Instance], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return one tuple a server with these columns, in the query's order; one query."""
    dialect = _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
    try:
        compiled, params = servers.values_list("pk").query.sql_with_params()
    except EmptyResultSet:  # the conditions contradict each other
        return []
    tail = compiled[compiled.index(" FROM ") :]
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SELECT {','.join(dialect[column] for column in columns)}{tail}", params)
        except DataError:
            raise InvalidInput(
                "A filter holds a value or pattern that the database cannot compare."
            ) from None
        fetched: list[tuple[Any, ...]] = cursor.fetchall()
    return fetched
