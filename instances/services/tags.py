"""A server's tags: sorted, each once, at most 50 of 60 characters. A lock does not keep them."""

import re
from collections.abc import Iterable

from computecloud.wire.errors import InvalidInput, NotFound
from instances.models import Instance
from instances.services import documents

MOST = 50
MAX_CHARS = 60
_FORM = re.compile(r"[^,/]+")


def put(instance: Instance, wanted: Iterable[str]) -> list[str]:
    """Have the server have these tags only; returns them. Raises InvalidInput, WrongState."""
    tags = sorted(set(wanted))
    return documents.change(instance, "tags", "update_tags", lambda _: _few(tags))


def add(instance: Instance, tag: str) -> bool:
    """Add a tag; returns whether it is new. Raises InvalidInput, WrongState."""
    _check(tag)
    added = False

    def with_it(before: list[str]) -> list[str]:
        nonlocal added
        added = tag not in before
        return _few(sorted({*before, tag}))

    documents.change(instance, "tags", "update_tag", with_it)
    return added


def remove(instance: Instance, tag: str) -> None:
    """Remove a tag; raises NotFound, WrongState."""

    def without(before: list[str]) -> list[str]:
        if tag not in before:
            raise missing(instance, tag)
        return [one for one in before if one != tag]

    documents.change(instance, "tags", "delete_tag", without)


def clear(instance: Instance) -> None:
    """Remove all tags; raises WrongState."""
    documents.change(instance, "tags", "delete_tags", lambda _: [])


def missing(instance: Instance, tag: str) -> NotFound:
    """Return the refusal of a tag that the server does not have."""
    return NotFound(f"Server {instance.id} has no tag '{tag}'")


def _few(tags: list[str]) -> list[str]:
    if len(tags) > MOST:
        raise InvalidInput(f"The number of tags exceeded the per-server limit {MOST}")
    return tags


def _check(tag: str) -> None:
    if len(tag) > MAX_CHARS:
        raise InvalidInput(f"Tag '{tag[:64]}' is too long. Maximum length of a tag is {MAX_CHARS}")
    if not _FORM.fullmatch(tag) or not tag.isprintable():
        raise InvalidInput(
            f"Tag '{tag}' is invalid. It must be a non empty string without characters '/' and ','."
        )
