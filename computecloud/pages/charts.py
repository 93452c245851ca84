"""Charts as inline SVG: they need no script and fetch nothing, and each says in words what it shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

GREEN, RED, BLUE, AMBER, GREY = "#16a34a", "#dc2626", "#2563eb", "#d97706", "#94a3b8"
WIDTH, HEIGHT, BASE, TOP = 420, 160, 134, 12


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a whole."""

    words: str
    amount: float
    colour: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of parts, from the bottom; words stand below it where they are not empty."""

    words: str
    parts: tuple[Part, ...]


def columns(about: str, shown: Sequence[Column]) -> SafeString:
    """Return columns side by side, of parts above each other, with a line for the highest."""
    highest = max((sum(part.amount for part in column.parts) for column in shown), default=0) or 1
    step = (WIDTH - 40) / max(1, len(shown))
    drawn = []
    for index, column in enumerate(shown):
        left, bottom = 36 + index * step, float(BASE)
        for part in column.parts:
            height = (BASE - TOP) * part.amount / highest
            bottom -= height
            drawn.append(_rectangle(left, bottom, step * 0.72, height, part))
        if column.words:
            drawn.append(_text(left + step * 0.36, BASE + 16, column.words, "middle"))
    axis = format_html(
        '<line x1="32" x2="{}" y1="{}" y2="{}" stroke="currentColor" stroke-opacity=".25"/>',
        WIDTH,
        BASE,
        BASE,
    )
    scale = [_text(28, TOP + 4, _short(highest), "end"), _text(28, BASE, "0", "end")]
    return _svg(about, HEIGHT, [axis, *scale, *drawn])


def share(about: str, parts: Sequence[Part], whole: float) -> SafeString:
    """Return one bar of parts side by side; what is left of the whole is grey."""
    drawn, left, size = [], 0.0, max(whole, sum(part.amount for part in parts)) or 1
    for part in parts:
        width = WIDTH * part.amount / size
        drawn.append(_rectangle(left, 0, width, 18, part))
        left += width
    back = format_html('<rect width="{}" height="18" fill="{}" fill-opacity=".25"/>', WIDTH, GREY)
    return _svg(about, 18, [back, *drawn], stretched=True)


def _rectangle(left: float, top: float, width: float, height: float, part: Part) -> SafeString:
    return format_html(
        '<rect x="{}" y="{}" width="{}" height="{}" fill="{}"><title>{}</title></rect>',
        *(f"{number:.1f}" for number in (left, top, max(0.0, width), max(0.0, height))),
        part.colour,
        f"{part.words}: {part.amount:g}",
    )


def _text(left: float, top: float, words: str, anchor: str) -> SafeString:
    return format_html(
        '<text x="{}" y="{}" text-anchor="{}" font-size="12" fill="currentColor" fill-opacity=".7">{}</text>',
        f"{left:.1f}",
        f"{top:.1f}",
        anchor,
        words,
    )


def _svg(about: str, height: int, drawn: Sequence[SafeString], *, stretched: bool = False) -> SafeString:
    inside = format_html_join("", "{}", ((one,) for one in drawn))
    return format_html(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" class="w-full"{}>{}</svg>',
        WIDTH,
        height,
        about,
        SafeString(' preserveAspectRatio="none" style="height:18px;border-radius:4px"') if stretched else "",
        inside,
    )


def _short(number: float) -> str:
    return f"{number / 1_000:.1f}k" if number >= 10_000 else f"{number:g}"
