"""How the pages show things: a state as a coloured label, a row as a link, a time as how long ago."""

import time
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

GOOD = frozenset({"up", "yes", "succeeded", "done", "active", "enabled", "mended"})
BAD = frozenset({"down", "forced down", "failed", "error", "lost"})
CALM = frozenset({"disabled", "cancelled", "skipped", "stopped", "shutoff", "deleted"})
_COLOURS = {
    "good": "bg-green-100 text-green-700 dark:bg-green-500/20 dark:text-green-400",
    "bad": "bg-red-100 text-red-700 dark:bg-red-500/20 dark:text-red-400",
    "calm": "bg-base-100 text-base-700 dark:bg-base-500/20 dark:text-base-200",
    "busy": "bg-blue-100 text-blue-700 dark:bg-blue-500/20 dark:text-blue-400",
}


def badge(word: str) -> SafeString:
    """Return a word as a label, in the colour of what it means."""
    known = word.lower()
    mood = "good" if known in GOOD else "bad" if known in BAD else "calm" if known in CALM else "busy"
    return format_html(
        '<span class="inline-block rounded-default px-2 py-0.5 text-xs font-semibold whitespace-nowrap {}">{}</span>',
        _COLOURS[mood],
        word,
    )


def link(page: str, key: Any, words: Any) -> SafeString:
    """Return a link to a row's page; page is `room_model`."""
    address = reverse(f"admin:{page}_change", args=[key])
    return format_html('<a class="text-primary-600 dark:text-primary-400" href="{}">{}</a>', address, words)


def since(at_s: float) -> str:
    """Return how long ago a moment (seconds since 1970) was, in words."""
    seconds = max(0, int(time.time() - at_s))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}\u00a0{unit}"
    return f"{seconds}\u00a0s"
