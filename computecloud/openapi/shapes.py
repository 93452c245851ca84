"""Our fields as JSON Schema: one line a kind; a field of another kind says `openapi` of itself."""

from collections.abc import Callable
from typing import Any

from computecloud.wire import fields

Schema = dict[str, Any]


def of(one: fields.StrictField) -> Schema:
    """Return what a field takes, in the newest version's terms."""
    if one.openapi is not None:
        return dict(one.openapi)
    return dict(next((make(one) for kind, make in _KINDS if isinstance(one, kind)), {}))


def _text(one: fields.Text) -> Schema:
    schema: Schema = {"type": "string", "maxLength": one.max_length}
    if one.min_length:
        schema["minLength"] = one.min_length
    if one.pattern is not None:
        schema["pattern"] = f"^(?:{one.pattern.pattern})$"
    return schema


def _bounded(one: fields.Integer | fields.Number) -> Schema:
    kind = "integer" if isinstance(one, fields.Integer) else "number"
    return {"type": kind, "minimum": one.min_value, "maximum": one.max_value}


def _choice(one: fields.Choice) -> Schema:
    return {"enum": list(one.choices)}


def _metadata(one: fields.Metadata) -> Schema:
    return {
        "type": "object",
        "maxProperties": one.max_items,
        "additionalProperties": {"type": "string", "maxLength": one.value.max_length},
        "description": f"The keys match ^{one.name.pattern}$.",
    }


def _object(one: fields.Object) -> Schema:
    return {"type": "object", "maxProperties": one.max_items, "additionalProperties": True}


def _base64(one: fields.Base64) -> Schema:
    return {"type": "string", "format": "byte", "maxLength": one.max_length}


def _plain(**schema: Any) -> Callable[[Any], Schema]:
    return lambda _one: schema


_KINDS: tuple[tuple[type[fields.StrictField], Callable[[Any], Schema]], ...] = (
    (fields.Text, _text),
    (fields.Integer, _bounded),
    (fields.Number, _bounded),
    (fields.Boolean, _plain(type="boolean")),
    (fields.Uuid, _plain(type="string", format="uuid")),
    (fields.Choice, _choice),
    (fields.Metadata, _metadata),
    (fields.Object, _object),
    (fields.Base64, _base64),
    (fields.Address, _plain(type="string", description="An IP address.")),
    (fields.Timestamp, _plain(type="string", format="date-time")),
)
