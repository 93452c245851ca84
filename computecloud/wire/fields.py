"""Fields of request bodies and queries: no coercion but what Nova allows, bounded in length and value."""

import base64
import binascii
import ipaddress
import re
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.utils.dateparse import parse_date, parse_datetime
from rest_framework import serializers

MAX_INTEGER = 2**31 - 1
ID_PATTERN = r"[a-zA-Z0-9_-]{1,64}"
KEY_PATTERN = r"[a-zA-Z0-9\-_:. ]{1,255}"
_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_TRUE = frozenset({"true", "TRUE", "True", "1", "ON", "On", "on", "YES", "Yes", "yes"})
_FALSE = frozenset({"false", "FALSE", "False", "0", "OFF", "Off", "off", "NO", "No", "no"})
_LAYOUT = frozenset("\n\r\t")

Base = serializers.Field[Any, Any, Any, Any]


class StrictField(Base):
    """What all our fields share: messages in the words that Nova's callers know.

    `openapi`: what a field takes that is none of the kinds here, for the OpenAPI document.
    """

    openapi: ClassVar[Mapping[str, Any] | None] = None

    default_error_messages = {
        "required": "it is a required property",
        "null": "None is not allowed",
        "wrong": "{message}",
    }

    def refuse(self, message: str) -> None:
        """Raise the refusal of this value."""
        self.fail("wrong", message=message)

    def to_representation(self, value: Any) -> Any:
        """Return value: our answers are not made by serializers."""
        return value


class Text(StrictField):
    """A string; `multiline` allows line ends and tabs, other control characters are never allowed."""

    def __init__(
        self,
        *,
        min_length: int = 0,
        max_length: int = 255,
        pattern: str | None = None,
        multiline: bool = False,
        **common: Any,
    ) -> None:
        self.min_length = min_length
        self.max_length = max_length
        self.pattern = re.compile(pattern) if pattern else None
        self.multiline = multiline
        super().__init__(**common)

    def to_internal_value(self, data: Any) -> Any:
        """Return the string."""
        if not isinstance(data, str):
            self.refuse(f"{type(data).__name__} is not of type 'string'")
        if len(data) < self.min_length:
            self.refuse(f"the text is too short (at least {self.min_length} characters)")
        if len(data) > self.max_length:
            self.refuse(f"the text is too long (at most {self.max_length} characters)")
        if not data.isprintable() and not all(self._is_allowed(one) for one in data):
            self.refuse("the text holds control characters")
        if self.pattern and not self.pattern.fullmatch(data):
            self.refuse(f"{data[:64]!r} does not match '^{self.pattern.pattern}$'")
        return data

    def _is_allowed(self, character: str) -> bool:
        category = unicodedata.category(character)
        return category == "Zs" or category[0] not in "CZ" or (self.multiline and character in _LAYOUT)


class Name(Text):
    """A name of 1 to 255 characters without spaces at its ends."""

    def __init__(self, *, min_length: int = 1, **common: Any) -> None:
        super().__init__(min_length=min_length, **common)

    def to_internal_value(self, data: Any) -> Any:
        """Return the name."""
        name = super().to_internal_value(data)
        if name != name.strip():
            self.refuse("the name begins or ends with a space")
        return name


class Integer(StrictField):
    """A whole number, or a string of its digits."""

    def __init__(self, *, min_value: int = -MAX_INTEGER, max_value: int = MAX_INTEGER, **common: Any) -> None:
        self.min_value = min_value
        self.max_value = max_value
        super().__init__(**common)

    def to_internal_value(self, data: Any) -> Any:
        """Return the number."""
        if isinstance(data, str) and len(data) <= 20 and re.fullmatch(r"-?[0-9]+", data):
            data = int(data)
        if isinstance(data, bool) or not isinstance(data, int):
            self.refuse(f"{_shown(data)} is not of type 'integer'")
        if data < self.min_value:
            self.refuse(f"{data} is less than the minimum of {self.min_value}")
        if data > self.max_value:
            self.refuse(f"{data} is greater than the maximum of {self.max_value}")
        return data


class Number(StrictField):
    """A finite number, or a string of one, as a float."""

    def __init__(self, *, min_value: float = -1e300, max_value: float = 1e300, **common: Any) -> None:
        self.min_value = min_value
        self.max_value = max_value
        super().__init__(**common)

    def to_internal_value(self, data: Any) -> Any:
        """Return the number."""
        if isinstance(data, str) and len(data) <= 40 and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", data):
            data = float(data)
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.refuse(f"{_shown(data)} is not of type 'number'")
        if not self.min_value <= data <= self.max_value:
            self.refuse(f"{data} is not between {self.min_value} and {self.max_value}")
        return float(data)


class Boolean(StrictField):
    """A boolean, or one of the strings that Nova takes for one."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the boolean."""
        if isinstance(data, bool):
            return data
        if isinstance(data, str) and data in _TRUE:
            return True
        if isinstance(data, str) and data in _FALSE:
            return False
        return self.refuse(f"{_shown(data)} is not of type 'boolean'")


class Uuid(StrictField):
    """A UUID with or without dashes, as uuid.UUID."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the UUID."""
        if not isinstance(data, str) or not _UUID.fullmatch(data):
            self.refuse(f"{_shown(data)} is not a 'uuid'")
        return uuid.UUID(data)


class Identifier(Text):
    """The id of a user, project or another thing whose ids are short plain strings."""

    def __init__(self, **common: Any) -> None:
        super().__init__(max_length=64, pattern=ID_PATTERN, **common)


class Choice(StrictField):
    """One of a few values, of exactly their type."""

    def __init__(self, choices: Sequence[Any], **common: Any) -> None:
        self.choices = tuple(choices)
        super().__init__(**common)

    def to_internal_value(self, data: Any) -> Any:
        """Return the value."""
        for choice in self.choices:
            if type(data) is type(choice) and data == choice:
                return choice
        return self.refuse(f"{_shown(data)} is not one of {list(self.choices)}")


class Metadata(StrictField):
    """Short keys with short text values, at most `max_items` of them."""

    def __init__(self, *, max_items: int = 128, value_length: int = 255, **common: Any) -> None:
        self.max_items = max_items
        self.value = Text(max_length=value_length, multiline=True)
        self.name = re.compile(KEY_PATTERN)
        super().__init__(**common)

    def to_internal_value(self, data: Any) -> Any:
        """Return the dict."""
        if not isinstance(data, dict):
            self.refuse(f"{_shown(data)} is not of type 'object'")
        if len(data) > self.max_items:
            self.refuse(f"there are too many items (at most {self.max_items})")
        for key, value in data.items():
            if not self.name.fullmatch(key):
                self.refuse(f"the key {key[:64]!r} does not match '^{KEY_PATTERN}$'")
            self.value.to_internal_value(value)
        return data


class Object(StrictField):
    """Any JSON object, at most `max_items` keys; the view looks inside."""

    def __init__(self, *, max_items: int = 128, **common: Any) -> None:
        self.max_items = max_items
        super().__init__(**common)

    def to_internal_value(self, data: Any) -> Any:
        """Return the dict."""
        if not isinstance(data, dict):
            self.refuse(f"{_shown(data)} is not of type 'object'")
        if len(data) > self.max_items:
            self.refuse(f"there are too many items (at most {self.max_items})")
        return data


class Base64(StrictField):
    """Base64 text of at most `max_length` characters, as it came but for line ends."""

    def __init__(self, *, max_length: int = 65_535, **common: Any) -> None:
        self.max_length = max_length
        super().__init__(**common)

    def to_internal_value(self, data: Any) -> Any:
        """Return the text, still encoded."""
        if not isinstance(data, str):
            self.refuse(f"{_shown(data)} is not of type 'string'")
        if len(data) > self.max_length:
            self.refuse(f"the text is too long (at most {self.max_length} characters)")
        text = data.replace("\n", "").replace("\r", "")
        try:
            base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            self.refuse("the text is not 'base64'")
        return text


class Address(StrictField):
    """An IP address as its canonical text."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the address."""
        try:
            return str(ipaddress.ip_address(data if isinstance(data, str) else ""))
        except ValueError:
            return self.refuse(f"{_shown(data)} is not an IP address")


class Timestamp(StrictField):
    """A date or moment in ISO 8601, as an aware datetime; without a zone it is UTC."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the moment."""
        moment = _moment(data) if isinstance(data, str) and len(data) <= 40 else None
        if moment is None:
            self.refuse(f"{_shown(data)} is not a 'date-time'")
        return moment


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
        if moment is None:
            day = parse_date(text)
            moment = datetime(day.year, day.month, day.day) if day else None  # noqa: DTZ001
        if moment is None:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _shown(data: Any) -> str:
    """Return a value for a message: short, and containers by their type only."""
    return repr(data)[:64] if isinstance(data, str | int | float | bool) else type(data).__name__
