"""Named events, by which a lower room tells a higher one what happened; handlers run in the caller's thread."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

_handlers: dict[str, list[Callable[..., None]]] = defaultdict(list)


def on(name: str, handler: Callable[..., None]) -> None:
    """Have handler called with the event's facts as keywords."""
    if handler not in _handlers[name]:
        _handlers[name].append(handler)


def emit(name: str, **facts: Any) -> None:
    """Call every handler of this event."""
    for handler in _handlers[name]:
        handler(**facts)
