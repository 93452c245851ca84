"""JSON patches (RFC 6902) of an image's document: add, replace and remove, as Glance takes them."""

from collections.abc import Callable
from typing import Any

from computecloud.wire.errors import Conflict, Forbidden, InvalidInput
from images.api.documents import require_writable

OLDER = (
    "application/openstack-images-v2.0-json-patch"  # the verb is the path's key; what is there is not added
)
NEWEST = "application/openstack-images-v2.1-json-patch"
MEDIA_TYPES = (NEWEST, OLDER)


def patched(
    document: dict[str, Any], own: frozenset[str], patch: Any, *, media_type: str = NEWEST
) -> dict[str, Any]:
    """Return the document after every operation of the patch; own names the keys that may be removed.

    Raises InvalidInput where the patch is malformed, Forbidden where it touches what it may not, Conflict where it
    replaces or removes what is not there, or in the older form adds what is.
    """
    if not isinstance(patch, list):
        raise InvalidInput("Request body must be a JSON array of operation objects.")
    result, is_older = {**document}, media_type.lower() == OLDER
    fixed = frozenset(document) - own
    for operation in patch:
        verb, path = _read(_newer(operation) if is_older else operation)
        if path[0] == "id":
            raise Forbidden("Attribute 'id' is read-only.")
        require_writable(path[0])
        if len(path) == 2:
            result["tags"] = _with_tag(result["tags"], verb, path, operation)
        elif verb == "remove":
            _remove(result, fixed, path[0])
        elif is_older and verb == "add" and path[0] in result:
            raise Conflict(f"Property {path[0]} already present.")
        else:
            _set(result, verb, path[0], operation["value"])
    return result


def _newer(operation: Any) -> Any:
    """Return an operation {"add": "/key", "value": …} as one with `op` and `path`."""
    if not isinstance(operation, dict):
        return operation
    verbs = [verb for verb in ("add", "replace", "remove") if verb in operation]
    if len(verbs) != 1:
        raise InvalidInput(
            'Operation objects must contain exactly one member named "add", "remove", or "replace".'
        )
    [verb] = verbs
    value = {"value": operation["value"]} if "value" in operation else {}
    return {"op": verb, "path": operation[verb], **value}


def _read(operation: Any) -> tuple[str, list[str]]:
    """Return an operation's verb and the decoded steps of its path."""
    if not isinstance(operation, dict):
        raise InvalidInput("Operations must be JSON objects.")
    verb, pointer = operation.get("op"), operation.get("path")
    if not isinstance(verb, str) or verb not in _TAG_VERBS:
        raise InvalidInput("Operations must be add, replace or remove.")
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise InvalidInput("The path of an operation must be a string that begins with a slash.")
    if verb != "remove" and "value" not in operation:
        raise InvalidInput(f'Operation "{verb}" requires a member named "value".')
    path = [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]
    if len(path) > (2 if path[0] == "tags" else 1) or not path[0]:
        raise InvalidInput(f"Invalid JSON pointer for this resource: '{pointer[:64]}'")
    return verb, path


def _set(document: dict[str, Any], verb: str, key: str, value: Any) -> None:
    if verb == "replace" and key not in document:
        raise Conflict(f"Property {key} does not exist.")
    document[key] = value


def _remove(document: dict[str, Any], fixed: frozenset[str], key: str) -> None:
    if key in fixed:
        raise Forbidden(f"Property {key} may not be removed.")
    if key not in document:
        raise Conflict(f"Property {key} does not exist.")
    del document[key]


def _with_tag(tags: Any, verb: str, path: list[str], operation: dict[str, Any]) -> list[Any]:
    """Return tags after an operation on one of them, by its place or `-` for the end."""
    if not isinstance(tags, list):
        raise InvalidInput("tags is not of type 'array'.")
    place = len(tags) if path[1] == "-" else int(path[1]) if path[1].isdecimal() and len(path[1]) < 5 else -1
    if not 0 <= place < len(tags) + (verb == "add"):
        raise InvalidInput(f"There is no tag at place '{path[1][:64]}'.")
    return _TAG_VERBS[verb](tags, place, operation.get("value"))


_TAG_VERBS: dict[str, Callable[[list[Any], int, Any], list[Any]]] = {
    "add": lambda tags, place, value: [*tags[:place], value, *tags[place:]],
    "replace": lambda tags, place, value: [*tags[:place], value, *tags[place + 1 :]],
    "remove": lambda tags, place, _: [*tags[:place], *tags[place + 1 :]],
}
