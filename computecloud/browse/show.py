"""What pages are made of: cells with links, tables, facts; and the answer that carries them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from computecloud.browse.forms import Form

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
GOOD = frozenset({"ACTIVE", "succeeded", "success", "active", "UP", "available"})
BAD = frozenset({"ERROR", "failed", "error", "lost", "DOWN"})
CALM = frozenset({"SHUTOFF", "PAUSED", "SUSPENDED", "cancelled", "skipped", "deactivated", "DELETED"})
PAGES = {  # what stands at the top of every page: words, address, and where else their pages are
    "Servers": ("/compute/v2.1/servers", "/browse/servers/"),
    "Flavors": ("/compute/v2.1/flavors",),
    "Images": ("/image/v2/images",),
    "Networks": ("/network/v2.0/networks",),
    "Key pairs": ("/compute/v2.1/os-keypairs", "/browse/keypairs/"),
    "Operations": ("/operations/",),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text, perhaps with a link, or with the colour of what it means."""

    text: str
    link: str = ""
    mood: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below headings; `more` is the address of the page after this one."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Sequence[Cell]]]
    empty: str = "There is none."
    more: str = ""

    @property
    def labelled(self) -> list[list[tuple[str, Sequence[Cell]]]]:
        """Return the rows with each cell's heading, which stands beside it where the screen is narrow."""
        return [list(zip(self.headings, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Button:
    """What can be done from a page: a link, or with `fields` a form that posts them."""

    words: str
    address: str
    fields: Mapping[str, str] = field(default_factory=dict)
    is_bad: bool = False


Fact = tuple[str, Sequence[Cell]]


def status(word: str) -> Cell:
    """Return a state in its colour."""
    mood = "good" if word in GOOD else "bad" if word in BAD else "calm" if word in CALM else "busy"
    return Cell(word, mood=mood)


def text(value: Any, link: str = "") -> list[Cell]:
    """Return a value as cells: nothing for none, one for each of a list."""
    if isinstance(value, Mapping):
        return [Cell(f"{key} = {inner}") for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return [Cell(str(inner)) for inner in value]
    if value is None or value == "":
        return []
    words = {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else str(value)
    return [Cell(words, link)]


def moment(said: str | None) -> str:
    """Return a moment as the APIs say it, which is in UTC, for people; empty for none."""
    return f"{said[:10]} {said[11:19]} UTC" if said else ""


@cache
def static(name: str) -> str:
    """Return the address of one of our own static files, another one when its content is."""
    digest = sha256((STATIC / "browse" / name).read_bytes()).hexdigest()[:8]
    return f"/static/browse/{name}?v={digest}"


def answer(request: HttpRequest, template: str, /, status: int = 200, **context: Any) -> HttpResponse:
    """Return a page; nobody keeps it, and it loads and runs nothing but our own files."""
    shown = {
        "caller": getattr(request, "caller", None),
        "style": static("style.css"),
        "script": static("timeline.js"),
        "pages": [(words, at[0], request.path.startswith(at)) for words, at in PAGES.items()],
        **context,
    }
    response = HttpResponse(render_to_string(f"browse/{template}", shown, request), status=status)
    response["Content-Security-Policy"] = POLICY
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "same-origin"
    return response


def form(request: HttpRequest, asked: Form, /, status: int = 200, **context: Any) -> HttpResponse:
    """Return the page of a form, as it is by now."""
    return answer(request, "form.html", status=status, title=asked.title, form=asked, **context)


def refused(request: HttpRequest, status: int, message: str, *, back: str = "") -> HttpResponse:
    """Return the page of a refusal in the API's words, with the way back."""
    title = _TITLES.get(status, "Refused")
    return answer(request, "message.html", status=status, title=title, message=message, back=back)


_TITLES = {403: "Not allowed", 404: "Not found", 409: "Not now", 429: "Too many", 503: "Not available"}
