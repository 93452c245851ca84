"""JSON schemas of the documents, for clients that ask."""

from typing import Any

from images.models import NAME_MAX_CHARS, TAG_MAX_CHARS
from images.states import AMAZON, DiskFormat, MemberStatus, Status, Visibility

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["null", "string"]}
_COUNT_OR_NULL = {"type": ["null", "integer"]}
_OURS = {"readOnly": True}

_IMAGE: dict[str, Any] = {
    "name": "image",
    "properties": {
        "id": {
            **_TEXT,
            "pattern": "^([0-9a-f]){8}-([0-9a-f]){4}-([0-9a-f]){4}-([0-9a-f]){4}-([0-9a-f]){12}$",
        },
        "name": {**_TEXT_OR_NULL, "maxLength": NAME_MAX_CHARS},
        "status": {**_TEXT, **_OURS, "enum": list(map(str, Status))},
        "visibility": {**_TEXT, "enum": list(map(str, Visibility))},
        "protected": {"type": "boolean"},
        "os_hidden": {"type": "boolean"},
        "checksum": {**_TEXT_OR_NULL, **_OURS},
        "os_hash_algo": {**_TEXT_OR_NULL, **_OURS},
        "os_hash_value": {**_TEXT_OR_NULL, **_OURS},
        "owner": _TEXT_OR_NULL,
        "size": {**_COUNT_OR_NULL, **_OURS},
        "virtual_size": {**_COUNT_OR_NULL, **_OURS},
        "container_format": {**_TEXT_OR_NULL, "enum": [None, "bare", *sorted(map(str, AMAZON))]},
        "disk_format": {**_TEXT_OR_NULL, "enum": [None, *map(str, DiskFormat)]},
        "created_at": {**_TEXT, **_OURS},
        "updated_at": {**_TEXT, **_OURS},
        "tags": {"type": "array", "items": {**_TEXT, "maxLength": TAG_MAX_CHARS}},
        "min_ram": {"type": "integer"},
        "min_disk": {"type": "integer"},
        "self": {**_TEXT, **_OURS},
        "file": {**_TEXT, **_OURS},
        "schema": {**_TEXT, **_OURS},
    },
    "additionalProperties": _TEXT,
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
_MEMBER: dict[str, Any] = {
    "name": "member",
    "properties": {
        "image_id": _TEXT,
        "member_id": _TEXT,
        "status": {**_TEXT, "enum": list(map(str, MemberStatus))},
        "created_at": _TEXT,
        "updated_at": _TEXT,
        "schema": {**_TEXT, **_OURS},
    },
}


def _listed(name: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "first": _TEXT,
            "next": _TEXT,
            "schema": _TEXT,
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


SCHEMAS: dict[str, dict[str, Any]] = {
    "image": _IMAGE,
    "images": _listed("images", _IMAGE),
    "member": _MEMBER,
    "members": _listed("members", _MEMBER),
}
