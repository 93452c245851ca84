"""From the query of a list of servers to what is wanted of the database: which servers, in what order, for whom."""

from collections.abc import Iterable, Mapping
from typing import Any

from computecloud.wire.errors import Forbidden, InvalidInput
from computecloud.wire.paging import Page
from identity.caller import Caller
from instances import policies
from instances.api.server_filters import conditions
from instances.listing import DEFAULT_SORT, Wanted
from instances.selectors import as_uuid

_EVERYBODYS = (
    "name display_name status image image_ref flavor instance_type_id ip ip6 reservation_id changes_since "
    "changes_before tags tags_any not_tags not_tags_any locked"
)
_LATER = (
    "availability_zone config_drive key_name created_at launched_at terminated_at power_state task_state vm_state "
    "progress user_id"
)
EVERYBODYS, EVERYBODYS_LATER = frozenset(_EVERYBODYS.split()), frozenset(_LATER.split())
_INNER = "block_device_mapping extra info_cache metadata pci_devices security_groups services system_metadata"
_TABLES = frozenset(_INNER.split())
_ADMINS_SORT_KEYS = frozenset({"host", "node"})


def refuse_inner_names(keys: Iterable[str]) -> None:
    """Raise InvalidInput for names of Nova's own tables and columns, which no version ignores."""
    for key in keys:
        if key.startswith("_") or key in _TABLES:
            raise InvalidInput(
                f"Invalid input for query parameters {key[:64]!r}. It is no filter of servers."
            )


def wanted(
    caller: Caller, query: Mapping[str, Any], page: Page, *, behaves: Mapping[str, bool], view: str
) -> Wanted:
    """Return which servers a validated query means for this caller.

    behaves: users_filter_by_more, unknown_status_is_refused. Raises Forbidden for what only admins may ask, and
    InvalidInput. Filters that the caller may not use are ignored.
    """
    every_tenant = query.get("all_tenants", False)
    if every_tenant:
        policies.check(caller, f"os_compute_api:servers:{view}:get_all_tenants")
    given = dict(query)
    if not policies.allows(caller, "os_compute_api:servers:allow_all_filters"):
        open_to_all = EVERYBODYS | EVERYBODYS_LATER if behaves["users_filter_by_more"] else EVERYBODYS
        given = {key: value for key, value in given.items() if key in open_to_all}
    deleted = _deleted(caller, given)
    project_id = caller.project_id
    if every_tenant:
        project_id = query.get("project_id") or query.get("tenant_id")
    return Wanted(
        project_id=project_id,
        filters=tuple(conditions(given, refuse_unknown_status=behaves["unknown_status_is_refused"])),
        deleted=deleted,
        sort=_sort(caller, query),
        marker=_marker(page),
        limit=page.limit,
    )


def _deleted(caller: Caller, given: dict[str, Any]) -> bool | None:
    """Return whether deleted servers are wanted: only, not, or both (None)."""
    if any(name.upper() == "DELETED" for name in given.get("status", ())):
        if not caller.is_admin:
            raise Forbidden("Only administrators may list deleted instances")
        return True
    if "deleted" in given:
        return bool(given["deleted"])
    return None if "changes_since" in given else False


def _sort(caller: Caller, query: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    keys, directions = query.get("sort_key", ()), query.get("sort_dir", ())
    if not keys:
        if not directions:
            return DEFAULT_SORT
        return tuple((key, directions[0]) for key, _ in DEFAULT_SORT)
    if not caller.is_admin and _ADMINS_SORT_KEYS.intersection(keys):
        raise Forbidden("Only administrators can sort servers by host or node.")
    if len(directions) > len(keys):
        raise InvalidInput("Sort direction size exceeds sort key size.")
    filled = [*directions, *["desc"] * (len(keys) - len(directions))]
    once = dict(zip(reversed(keys), reversed(filled), strict=True))
    return tuple((key, once[key]) for key in dict.fromkeys(keys))


def _marker(page: Page) -> Any:
    if page.marker is None:
        return None
    marker = as_uuid(page.marker)
    if marker is None:
        raise InvalidInput(f"marker [{page.marker}] not found")
    return marker
