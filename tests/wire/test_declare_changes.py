"""Declared changes on their own: projections, their keys for selectors, and mistakes in declarations."""

from collections.abc import Sequence

import pytest

from computecloud.wire.changes import Behaviour, Change, Changes, Field, Span, fields
from computecloud.wire.services import COMPUTE, Version


def edition(version: str, *declared: Change | Sequence[Change]):  # type: ignore[no-untyped-def]
    return Changes(COMPUTE, *declared).at(Version.parse(version))


def test_version_is_ordered_by_numbers_not_text() -> None:
    assert Version.parse("2.9") < Version.parse("2.10") < Version.parse("10.0")
    assert str(Version.parse("2.104")) == "2.104"


@pytest.mark.parametrize("text", ["2", "2.", ".2", "2.01", "0.1", "a.b", " 2.1", "2.1\n", "٢.١"])
def test_text_that_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Version.parse(text)


def test_span_includes_both_ends() -> None:
    span = Span(since="2.3", until="2.5")
    assert [span.holds(Version(2, minor)) for minor in (2, 3, 4, 5, 6)] == [False, True, True, True, False]


def test_projection_gives_keys_in_order_for_selectors() -> None:
    found = edition(
        "2.1",
        fields("server", "id name"),
        Field("server", "flavor", source="flavor_link"),
        Field("server", "fault", optional=True),
    ).projection("server", "detail")
    assert found.keys == ("id", "name", "flavor")
    assert found.sources == ("id", "name", "flavor_link")
    assert found.optional == (("fault", "fault"),)


def test_projection_is_made_once() -> None:
    one = edition("2.1", fields("server", "id name"))
    assert one.projection("server", "show") is one.projection("server", "show")


def test_lists_of_inner_resources_are_projected() -> None:
    found = edition(
        "2.1",
        fields("server", "id"),
        Field("server", "volumes", shape="volume"),
        fields("volume", "id"),
        Field("volume", "delete_on_termination", since="2.3"),
    )
    row = {"id": 1, "volumes": [{"id": 2, "delete_on_termination": True}]}
    assert found.projection("server", "show")(row) == {"id": 1, "volumes": [{"id": 2}]}
    assert found.projection("server", "show")({"id": 1, "volumes": ""}) == {"id": 1, "volumes": ""}


def test_single_key_is_projected() -> None:
    assert edition("2.1", fields("server", "id")).projection("server", "show")({"id": 1, "x": 2}) == {"id": 1}


def test_absent_optional_key_is_left_out_and_absent_other_is_an_error() -> None:
    found = edition("2.1", fields("server", "id name"), Field("server", "fault", optional=True))
    assert found.projection("server", "show").many([{"id": 1, "name": "a"}]) == [{"id": 1, "name": "a"}]
    with pytest.raises(KeyError):
        found.projection("server", "show")({"id": 1})


def test_key_declared_twice_for_a_version_is_an_error() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        edition("2.5", fields("server", "id"), Field("server", "id", since="2.3")).projection(
            "server", "show"
        )


def test_undeclared_behaviour_and_resource_are_errors() -> None:
    one = edition("2.5", Behaviour("known", since="2.6"))
    assert one.behaves("known") is False
    with pytest.raises(KeyError):
        one.behaves("unknown")
    with pytest.raises(KeyError):
        one.projection("server", "show")
