"""The part of regular expressions that a filter may hold, in every database; none of it is slow."""

import time

import pytest

from computecloud.wire.errors import InvalidInput
from instances import patterns
from instances.models import Instance


@pytest.mark.parametrize(
    ("pattern", "finds"),
    [
        ("^web", True),
        ("web$", False),
        (r"^web\.[0-9]{1,2}-?x$", True),
        ("a|b", True),
        ("w.b", True),
        (r"\d\d", True),
        ("[^a-z]x$", True),
        ("^[A-Z.0-9-]+$", True),
        ("x*$", True),
    ],
)
def test_an_allowed_pattern_finds_the_same_in_every_database(server, pattern, finds):
    server(name="web.42-x")
    assert Instance.objects.filter(name__iregex=patterns.checked(pattern)).exists() is finds


@pytest.mark.parametrize(
    "pattern",
    [
        "(a)",
        "(a+)+b",
        "a*b*",
        "^a*b*c*",
        "^a*|b*",
        r"(a)\1",
        "a**",
        "*",
        "^*",
        "[",
        "[]",
        "[z-a]",
        "{",
        "a{,3}",
        "a{3,1}",
        "\\",
        r"\b",
        "(?=a)",
        "[[:alpha:]]",
        "a{100000}",
        "+",
        "|*",
    ],
)
def test_everything_else_is_refused(pattern):
    with pytest.raises(InvalidInput, match="Invalid regular expression"):
        patterns.checked(pattern)


@pytest.mark.parametrize("pattern", ["^.*.*!", "^[a-z]*[a-z]*!", "a+!", "[a-z]{0,99}!", "^a+a+$!"])
def test_no_allowed_pattern_is_slow(server, pattern):
    for _ in range(100):
        server(name="a" * 255)
    began = time.process_time()
    assert not Instance.objects.filter(name__iregex=patterns.checked(pattern)).exists()
    assert time.process_time() - began < 2
