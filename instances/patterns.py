"""Regular expressions that tenants may filter by: a part of the language that no pattern can make slow.

Databases differ in what they understand and in how long a hostile pattern may hold them up. What is left is alike in
SQLite and PostgreSQL, and its cost rises with the square of a name's length at most: no groups, no references, one
repetition, or two in a pattern that begins with ^ and has no alternatives. Each further one costs a power.
"""

import re

from computecloud.wire.errors import InvalidInput

_PIECE = re.compile(
    r"""
    (?P<repeat>[*+?]|\{[0-9]{1,2}(?:,[0-9]{0,2})?\})   # behind any piece
    | \\[^a-zA-Z0-9] | \\[dws]                         # an escaped sign, or a class that all dialects have
    | \[\^?(?:[^\]\\\[]|\\[^a-zA-Z0-9])+\]              # a class
    | [.^$|] | [^\\()\[\]{}*+?]                         # anchors, alternatives, plain characters
    """,
    re.VERBOSE,
)
_PLAIN = re.compile(r"[\w :@/,-]*", re.ASCII)


def is_plain(pattern: str) -> bool:
    """Tell whether a pattern matches exactly where its text occurs."""
    return _PLAIN.fullmatch(pattern) is not None


def checked(pattern: str) -> str:
    """Return the pattern; raises InvalidInput where it is no regular expression, or not of our part of the language."""
    at, repetitions = 0, 0
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        if piece is None:
            raise _refusal(pattern, f"{pattern[at]!r} at position {at} is not supported")
        repetitions += piece["repeat"] is not None
        at = piece.end()
    allowed = 2 if pattern.startswith("^") and "|" not in pattern else 1
    if repetitions > allowed:
        raise _refusal(
            pattern, f"more than {allowed} of the repetitions * + ? {{ }} (with ^ at its start: 2)"
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise _refusal(pattern, str(error)) from None
    return pattern


def _refusal(pattern: str, reason: str) -> InvalidInput:
    return InvalidInput(f"Invalid regular expression {pattern[:64]!r}: {reason}.")
