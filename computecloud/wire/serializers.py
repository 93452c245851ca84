"""Strict validation of bodies and queries: what a serializer does not name is refused.

An instance holds no data and is shared by all requests of one version (`Edition.serializer`), so that nothing is
built or copied a request; keys that the version does not know are not among its fields.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from computecloud.wire.changes import Edition
from computecloud.wire.errors import InvalidInput

NOT_FIELDS = "non_field_errors"


class StrictSerializer(serializers.Serializer[Any]):
    """Base of every request serializer.

    `keys` maps a field's name to its key on the wire where that is no identifier (`disk_config` to
    `OS-DCF:diskConfig`); validated data has the field's name. `self.behaves(name)` serves `validate`.
    """

    keys: ClassVar[Mapping[str, str]] = {}
    default_error_messages = {
        "invalid": "{datatype} is not of type 'object'",
        "null": "None is not of type 'object'",
        "required": "it is a required property",
    }

    @property
    def edition(self) -> Edition:
        """Return the version's changes."""
        edition: Edition = self.context["edition"]
        return edition

    def behaves(self, name: str) -> bool:
        """Tell whether a declared behaviour holds at the request's version."""
        return self.edition.behaves(name)

    def get_fields(self) -> dict[str, Any]:
        """Return this version's fields by their keys on the wire."""
        found: dict[str, Any] = {}
        for name, declared in self._declared_fields.items():
            key = self.keys.get(name, name)
            if not self.edition.takes(type(self), key):
                continue
            field = found[key] = copy.deepcopy(declared)
            if key != name:
                field.source = name
            if self.edition.requires(type(self), key):
                field.required = True
        return found

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated dict; raises ValidationError, for unknown keys too."""
        if isinstance(data, Mapping):
            unknown = data.keys() - self.fields.keys()
            if unknown and not self.edition.ignores_unknown(type(self)):
                names = ", ".join(repr(name[:64]) for name in sorted(unknown)[:5])
                verb = "was" if len(unknown) == 1 else "were"
                raise ValidationError(
                    {NOT_FIELDS: [f"Additional properties are not allowed ({names} {verb} unexpected)"]}
                )
        return super().to_internal_value(data)


def validate(edition: Edition, cls: type[StrictSerializer], data: Any, path: str) -> dict[str, Any]:
    """Return data as the serializer sees it; raises InvalidInput naming the first field that is wrong."""
    try:
        checked: dict[str, Any] = edition.serializer(cls).run_validation(data)
    except ValidationError as error:
        raise InvalidInput(describe(error.detail, path), by_field(error.detail, path)) from None
    return checked


def by_field(detail: Any, path: str = "") -> dict[str, str]:
    """Return the first message about each field that DRF's nested error details name, by its dotted path."""
    found: dict[str, str] = {}
    for names, message in _leaves(detail, (path,) if path else ()):
        found.setdefault(".".join(names), str(message))
    return found


def describe(detail: Any, path: str = "") -> str:
    """Return the first of DRF's nested error details as one sentence."""
    names, message = next(_leaves(detail, (path,) if path else ()), ((), ErrorDetail("the body is wrong")))
    if message.code == "required" and names:
        names, text = names[:-1], f"'{names[-1]}' is a required property"
    else:
        text = str(message)
    where = ".".join(names)
    return f"Invalid input for field/attribute {where}. {text}." if where else f"Invalid input: {text}."


def _leaves(detail: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], ErrorDetail]]:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _leaves(inner, names if name == NOT_FIELDS else (*names, str(name)))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            is_item = isinstance(inner, dict) and inner
            yield from _leaves(inner, (*names, str(index)) if is_item else names)
    elif isinstance(detail, ErrorDetail):
        yield names, detail
    else:
        yield names, ErrorDetail(str(detail))
