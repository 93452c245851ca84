"""Beat rings by a clock that nobody steps."""

import time
from datetime import timedelta

import pytest

from computecloud.celery import app


@pytest.mark.parametrize("off_s", [-3_600, 3_600])
@pytest.mark.parametrize("name", sorted(app.conf.beat_schedule))
def test_what_is_due_is_due_whatever_the_wall_clock_says(
    name: str, off_s: int, monkeypatch: pytest.MonkeyPatch
):
    due = app.conf.beat_schedule[name]["schedule"]
    now, stepped_s = due.now(), time.time() + off_s
    monkeypatch.setattr(time, "time", lambda: stepped_s)
    assert due.is_due(now - due.run_every).is_due
    assert not due.is_due(now + timedelta(seconds=1)).is_due


@pytest.mark.parametrize("name", sorted(app.conf.beat_schedule))
def test_a_ring_outlives_a_queue_that_is_longer_than_its_interval(name: str):
    assert app.conf.beat_schedule[name]["options"]["expires"] >= 15.0
