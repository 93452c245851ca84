"""Scheduler hints: what a tenant may say about where a server runs, checked, and as scheduling understands it.

Keys that nobody here knows are kept and shown, as Nova does.
"""

import ipaddress
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from computecloud.wire.errors import InvalidInput
from instances.selectors import as_uuid
from scheduling import query

MAX_CHARS = 16_384  # of all hints together, as JSON
MAX_NAMED = 64  # servers in one hint
_USUAL_CIDR = "/24"


def checked(hints: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the hints; raises InvalidInput for a known one that makes no sense, and for too many."""
    if len(json.dumps(hints)) > MAX_CHARS:
        raise InvalidInput(f"The scheduler hints are too long: at most {MAX_CHARS} characters.")
    wishes(hints)
    return hints


def group_id(hints: Mapping[str, Any]) -> UUID | None:
    """Return the server group that the hints name; raises InvalidInput where that is no uuid."""
    given = hints.get("group")
    return None if given is None else _uuid("group", given)


def wishes(hints: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hints as arguments of scheduling's PlaceRequest; raises InvalidInput."""
    expression = hints.get("query")
    if expression is not None and not isinstance(expression, str):
        expression = json.dumps(expression)
    return {
        "group_id": group_id(hints),
        "same_host": _servers("same_host", hints),
        "different_host": _servers("different_host", hints),
        "near": _near(hints),
        "query": query.parse(expression) if expression else (),
    }


def _servers(key: str, hints: Mapping[str, Any]) -> frozenset[UUID]:
    given = hints.get(key, [])
    many = given if isinstance(given, list) else [given]
    if len(many) > MAX_NAMED:
        raise _refusal(key, f"at most {MAX_NAMED} servers may be named")
    return frozenset(_uuid(key, one) for one in many)


def _near(hints: Mapping[str, Any]) -> str:
    address, cidr = hints.get("build_near_host_ip"), hints.get("cidr", _USUAL_CIDR)
    if not isinstance(cidr, str) or not cidr.startswith("/"):
        raise _refusal("cidr", "it must be a slash and a prefix length or netmask")
    if address is None:
        return ""
    try:
        return str(ipaddress.ip_network(f"{ipaddress.ip_address(str(address))}{cidr}", strict=False))
    except ValueError:
        raise _refusal("build_near_host_ip", "it is no address, or does not go with its cidr") from None


def _uuid(key: str, given: Any) -> UUID:
    found = as_uuid(given) if isinstance(given, str) else None
    if found is None:
        raise _refusal(key, f"{str(given)[:64]!r} is not a 'uuid'")
    return found


def _refusal(key: str, words: str) -> InvalidInput:
    return InvalidInput(f"Invalid input for field/attribute os:scheduler_hints.{key}. {words}.")
