"""The id of the request in hand: on every answer, log line and operation."""

import re
import uuid
from contextvars import ContextVar

_WELL_FORMED = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_local: ContextVar[str] = ContextVar("request_id", default="")


def new() -> str:
    """Return a fresh id, `req-<uuid>`."""
    return f"req-{uuid.uuid4()}"


def is_well_formed(text: str) -> bool:
    """Tell whether text is an id that another service could have made."""
    return _WELL_FORMED.fullmatch(text) is not None


def bind(request_id: str) -> None:
    """Make request_id the current one of this thread or context; the middleware and the engine call it."""
    _local.set(request_id)


def current() -> str:
    """Return the current request's id, or a fresh one outside any request."""
    return _local.get() or new()
