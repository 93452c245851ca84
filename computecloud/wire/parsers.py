"""Request bodies: JSON objects, checked before anybody looks inside."""

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

import orjson
from django.http import HttpRequest
from rest_framework.parsers import BaseParser

from computecloud.wire.errors import InvalidInput, TooLarge, UnsupportedMediaType

MAX_BODY_BYTES = 114_688
MAX_DEPTH = 32


def read_body(request: HttpRequest, media_types: tuple[str, ...], limit: int = MAX_BODY_BYTES) -> Any:
    """Return the request's decoded JSON; None for an empty body.

    Raises UnsupportedMediaType (415), TooLarge (413), InvalidInput (400).
    """
    raw = _read(request, limit)
    if not raw:
        return None
    media_type = (request.content_type or "").lower()
    if media_type not in media_types:
        raise UnsupportedMediaType(
            f"Unsupported Content-Type {media_type[:64]!r}. Send the body as {' or '.join(media_types)}."
        )
    return decode(raw)


def decode(raw: bytes) -> Any:
    """Return the value of a JSON document.

    Refuses (InvalidInput) what is no JSON, duplicate keys, nesting deeper than MAX_DEPTH, and NUL characters.
    """
    try:
        value = orjson.loads(raw)
        json.loads(raw, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _DuplicateKey) else "cannot understand JSON"
        raise InvalidInput(f"Malformed request body: {reason}.") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH or b"\\u0000" in raw:
        _check(value)
    return value


class JSONParser(BaseParser):
    """DRF's way to the same decoding, for views that read `request.data`."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the decoded body; raises TooLarge and InvalidInput."""
        del media_type, parser_context
        raw = stream.read(MAX_BODY_BYTES + 1)
        if len(raw) > MAX_BODY_BYTES:
            raise _too_large(MAX_BODY_BYTES)
        return decode(raw) if raw else None


class _DuplicateKey(ValueError):
    """An object names a key twice."""


def _read(request: HttpRequest, limit: int) -> bytes:
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    try:
        declared = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise InvalidInput("The Content-Length header is not a number.") from None
    if declared > limit:
        raise _too_large(limit)
    # Django reads as much as Content-Length says, which is nothing for a chunked body.
    source: Any = request.META["wsgi.input"] if chunked and not declared else request
    try:
        raw: bytes = source.read(limit + 1)
    except OSError as error:
        raise InvalidInput(f"The request's body did not come to its end: {error}.") from None
    if len(raw) > limit:
        raise _too_large(limit)
    return raw


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"Request is too large: the body may hold at most {limit} bytes.")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _DuplicateKey(f"the key {twice[:64]!r} is there twice")
    return found


def _check(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        if any(isinstance(one, str) and "\0" in one for one in level):
            raise InvalidInput("Malformed request body: a text holds a NUL character.")
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise InvalidInput(f"Malformed request body: it is nested deeper than {MAX_DEPTH} levels.")


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value
