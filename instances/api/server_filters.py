"""What each filter of a list of servers means, as a condition on the rows."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db.models import F, Q, TextField, Value
from django.db.models.functions import Cast
from django.db.models.lookups import Regex
from django.utils.dateparse import parse_datetime

from computecloud.wire.errors import InvalidInput
from instances import patterns
from instances.selectors import as_uuid
from instances.services import tags
from instances.states import VmState, states_of

NOTHING = Q(pk__in=[])
_OWN_COLUMNS = (
    "user_id reservation_id host node hostname availability_zone key_name power_state task_state vm_state "
    "progress locked_by access_ip_v4 access_ip_v6 kernel_id ramdisk_id root_device_name launch_index"
)
EXACT = {
    **{name: name for name in _OWN_COLUMNS.split()},
    "description": "description",
    "display_description": "description",
    "flavor": "flavor_id",
    "instance_type_id": "flavor_id",
}
MATCHED = {"name": "name", "display_name": "name"}
MOMENTS = frozenset({"created_at", "launched_at", "terminated_at"})
FLAGS = frozenset({"config_drive", "auto_disk_config"})
_TRUE = frozenset({"true", "1", "t", "auto", "on", "yes"})


def conditions(given: Mapping[str, Any], *, refuse_unknown_status: bool) -> Iterator[Q]:
    """Yield what a validated query, already cut to what its caller may filter by, means; raises InvalidInput."""
    for key, value in given.items():
        if key == "status":
            yield _status(value, refuse_unknown_status)
        elif key in EXACT:
            yield Q(**{EXACT[key]: value})
        elif key in MATCHED:
            yield _matching(MATCHED[key], value)
        elif key in MOMENTS:
            yield Q(**{key: _moment(key, value)})
        elif key in FLAGS:
            yield Q(**{key: value.lower() in _TRUE})
        elif key in OTHERS:
            yield OTHERS[key](value)


def _matching(column: str, pattern: str) -> Q:
    """Return the condition of a regular expression in any case; of a mere substring where that is the same."""
    if patterns.is_plain(pattern):
        return Q(**{f"{column}__icontains": pattern})
    return Q(**{f"{column}__iregex": patterns.checked(pattern)})


def _status(names: list[str], refuse_unknown: bool) -> Q:
    found = NOTHING
    for name in dict.fromkeys(name.upper() for name in names):
        states = states_of(name)
        if states is None:
            if refuse_unknown:
                raise InvalidInput(f"Invalid status value {name!r}.")
            continue
        vm_states, task_states = states
        tasks = Q(task_state__in=sorted(state for state in task_states if state is not None))
        if None in task_states:
            tasks |= Q(task_state__isnull=True)
        found |= Q(vm_state__in=sorted(vm_states)) & tasks
    return found


def _moment(key: str, text: str) -> Any:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise InvalidInput(f"Invalid input for query parameters {key}. {text[:64]!r} is not a 'date-time'.")
    return moment


def _uuid(column: str) -> Callable[[str], Q]:
    def condition(text: str) -> Q:
        value = as_uuid(text)
        return NOTHING if value is None else Q(**{column: value})

    return condition


def _address(version: int) -> Callable[[str], Q]:
    """Find a text or pattern in any address of this version, in the JSON text, which every database can search."""
    rest = "[0-9.]*" if version == 4 else "[0-9a-f:.]*"

    def condition(text: str) -> Q:
        literal = re.fullmatch(r"[0-9a-fA-F:.]*", text)
        inner = (
            re.escape(text.lower()) if literal else patterns.checked(text).removeprefix("^").removesuffix("$")
        )
        before = "" if text.startswith("^") else rest
        after = "" if text.endswith("$") else rest
        kind = f'", "version": {version}'
        return _in_json("addresses", f'"addr": "{before}(?:{inner}){after}{kind}')

    return condition


def _tags(*, every: bool, wanted: bool) -> Callable[[str], Q]:
    def condition(text: str) -> Q:
        found = Q()
        for tag in _few(text):
            one = _in_json("tags", re.escape(json.dumps(tag, ensure_ascii=False)))
            found = (found & one) if every else (found | one)
        return found if wanted or not found else ~found

    return condition


def _few(text: str) -> list[str]:
    named = list(dict.fromkeys(filter(None, text.split(","))))
    if len(named) > tags.MOST:
        raise InvalidInput(f"Invalid input for query parameters: at most {tags.MOST} tags may be named.")
    return named


def _in_json(column: str, pattern: str) -> Q:
    return Q(Regex(Cast(F(column), TextField()), Value(pattern)))


OTHERS: Mapping[str, Callable[[Any], Q]] = {
    "image": _uuid("image_id"),
    "image_ref": _uuid("image_id"),
    "uuid": _uuid("id"),
    "ip": _address(4),
    "ip6": _address(6),
    "changes_since": lambda moment: Q(updated_at__gte=moment),
    "changes_before": lambda moment: Q(updated_at__lte=moment),
    "tags": _tags(every=True, wanted=True),
    "tags_any": _tags(every=False, wanted=True),
    "not_tags": _tags(every=True, wanted=False),
    "not_tags_any": _tags(every=False, wanted=False),
    "locked": lambda locked: ~Q(locked_by="") if locked else Q(locked_by=""),
    "soft_deleted": lambda soft: Q(vm_state=VmState.SOFT_DELETED.value) if soft else Q(),
}
