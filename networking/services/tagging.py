"""Tags: short texts by which tenants find their things again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db.models import F

from computecloud.wire.caller import Caller
from computecloud.wire.errors import Conflict, InvalidInput, NotFound
from networking import errors, selectors
from networking.models import Owned
from workers.models import utc_now

TAGS_MAX = 50
ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Tagged:
    """A kind of thing that has tags: how one is found, and what is raised where there is none."""

    find: Callable[[Caller, UUID], Owned]
    missing: Callable[[Any], NotFound]


TAGGED: Mapping[str, Tagged] = MappingProxyType(
    {
        "networks": Tagged(selectors.network, errors.NetworkNotFound),
        "subnets": Tagged(selectors.subnet, errors.SubnetNotFound),
        "ports": Tagged(selectors.port, errors.PortNotFound),
        "security-groups": Tagged(selectors.security_group, errors.SecurityGroupNotFound),
    }
)


def set_tags(row: Owned, tags: Sequence[str], *, caller: Caller) -> list[str]:
    """Replace a thing's tags; returns them in order. Raises PolicyNotAuthorized, InvalidInput."""
    return _change(row, lambda _before: set(tags), caller)


def add_tags(row: Owned, tags: Sequence[str], *, caller: Caller) -> list[str]:
    """Add tags; those that are there already stay. Raises PolicyNotAuthorized, InvalidInput."""
    return _change(row, lambda before: before | set(tags), caller)


def remove_tag(row: Owned, tag: str, *, caller: Caller) -> list[str]:
    """Remove a tag; raises PolicyNotAuthorized, TagNotFound."""

    def without(before: set[str]) -> set[str]:
        if tag not in before:
            raise errors.TagNotFound(tag)
        return before - {tag}

    return _change(row, without, caller)


def _change(row: Owned, change: Callable[[set[str]], set[str]], caller: Caller) -> list[str]:
    """Write the changed tags where nobody has changed the row meanwhile, else look again."""
    if not caller.is_admin and row.project_id != caller.project_id:
        raise errors.PolicyNotAuthorized("update_tags")
    rows = type(row)._default_manager.filter(pk=row.pk)
    for _ in range(ATTEMPTS):
        seen = rows.values_list("revision", "tags").first()
        if seen is None:
            raise NotFound(f"{type(row).__name__} {row.pk} could not be found.")
        revision, before = seen
        after = sorted(change(set(before)))
        if len(after) > TAGS_MAX:
            raise InvalidInput(f"Invalid input for tags. Reason: a thing has at most {TAGS_MAX} tags.")
        if rows.filter(revision=revision).update(
            tags=after, revision=F("revision") + 1, updated_at=utc_now()
        ):
            return after
    raise Conflict("Too many requests change the same thing at once; try again.")
