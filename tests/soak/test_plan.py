"""The schedule of a soak is a function of its seed, and its page keeps what others wrote."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.soak import page, plan
from tests.soak.strikes import Strikes
from workers import workflow

GATES = ("create.place.taken", "delete.clear.done", "start.enter")
SHAPE = plan.Shape("7", 30.0, "fake", 3, GATES, ("create.undo-wire.taken",))


def test_a_seed_always_makes_the_same_schedule_and_another_one_another() -> None:
    assert plan.schedule(SHAPE) == plan.schedule(SHAPE)
    assert plan.schedule(SHAPE) != plan.schedule(replace(SHAPE, seed="8"))


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_half_an_hour_has_enough_of_everything(seed: str) -> None:
    events = plan.schedule(replace(SHAPE, seed=seed))
    assert sum(event.kind == "operation" for event in events) > 2_600
    assert sum(event.kind == "fault" for event in events) > 520
    assert {event.name for event in events if event.kind == "fault"} == {*plan.FAULTS}


def test_every_kind_of_operation_is_asked_for() -> None:
    asked = {event.name.partition("_")[0] for event in plan.schedule(SHAPE) if event.kind == "operation"}
    assert asked == {*plan.KINDS, "cancel"}


def test_every_registered_workflow_is_in_the_soak() -> None:
    assert {kind for kind in workflow.registered() if not kind.startswith("toy")} == {*plan.KINDS}


def test_every_server_that_is_made_is_deleted_after_all_that_is_done_to_it() -> None:
    last: dict[str, str] = {}
    for event in plan.schedule(SHAPE):
        if event.kind == "operation" and event.name != "cancel":  # which may find nothing
            last[event.details["server"]] = event.name
    assert {*last.values()} == {"delete"}


@pytest.mark.parametrize("name", plan.REAL_FAULTS)
def test_every_fault_can_strike(name: str) -> None:
    assert callable(getattr(Strikes, f"_{name}"))


def soaked(**changes: Any) -> dict[str, Any]:
    """Return the figures of a soak."""
    usual: dict[str, Any] = {
        "driver": "fake", "seed": "7", "minutes": 30.0, "operations": 2_100, "faults": 510,
        "missed": [], "recovery_s": {"count": 3, "p50": 1.0, "max": 9.0}, "left_over": [], "broken": [], "failures": [],
        "outcomes": {"create succeeded": 700}, "struck": {"kill_host": 30},
    }  # fmt: skip
    return usual | changes


def test_the_page_has_a_row_for_each_soak_and_keeps_what_others_wrote(tmp_path: Path) -> None:
    file = tmp_path / "fault-matrix.md"
    file.write_text("# Faults\n\nthe matrix\n")
    page.write(file, [soaked(), soaked(seed="8")])
    file.write_text(file.read_text() + "\nbelow\n")
    page.write(file, [soaked(operations=2_222, failures=["left over: a | guest"])])
    text = file.read_text()
    assert text.count("| fake | 7 | 30 |") == 1
    assert "| 2222 | 510 (0 missed) | 1.0 s / 9.0 s | 0 | 0 | not good: left over: a / guest |" in text
    assert "| fake | 8 | 30 | 2100 |" in text
    assert text.count("| fake 7, 30 min | create succeeded 700 | kill_host 30 |") == 1
    assert (text.index("the matrix"), text.index("below")) == (10, len(text) - len("below\n"))
