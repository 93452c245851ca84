"""The wall clock stepped by an hour, either way, under a step of every workflow; no monotonic clock is touched."""

import time
from collections.abc import Iterator

import pytest

from tests.cloud import database
from tests.cloud.cloud import Cloud, until
from tests.faults.real import aim, ledger
from tests.faults.real.conftest import set_clock
from tests.faults.real.forms import FORMS, Place

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

HOUR_S = 3_600
END_S = 60.0
PLACES = [Place(form, form.steps[0].name, f"{form.kind}.{form.steps[0].name}.taken") for form in FORMS]
_LAST = "SELECT max(finished_at) FROM workers_steprun WHERE operation_id = ?"


@pytest.fixture(autouse=True)
def the_clock_is_right_again(clock_cloud: Cloud) -> Iterator[None]:
    """Set the clock right, and wait until the sweeper knows: two steps between its looks are none to it."""
    right_s = until(lambda: noticed_s(clock_cloud), END_S, "the sweeper to look at the clock")
    yield
    set_clock(clock_cloud, 0)
    until(lambda: abs(noticed_s(clock_cloud) - right_s) < HOUR_S / 2, END_S, "the sweeper to see the step")


def noticed_s(cloud: Cloud) -> float:
    """Return what the sweeper knows of the clock; 0 before it has looked."""
    rows = database.ask(cloud.state, "SELECT offset_s FROM workers_machineclock")
    return float(rows[0][0]) if rows else 0.0


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
def test_a_wall_clock_that_is_stepped_disturbs_no_operation(
    clock_cloud: Cloud, by_s: int, place: Place
) -> None:
    server = place.form.begin(clock_cloud)
    clock_cloud.gates.close(place.gate)
    server = place.form.accept(clock_cloud, server)
    aim.reach(clock_cloud, place.gate)
    set_clock(clock_cloud, by_s)
    clock_cloud.gates.open(place.gate)
    opened_at = time.monotonic()
    aim.await_end(server, place.form.ends, END_S)
    recover_s = time.monotonic() - opened_at
    ledger.check_once(server, place.form.kind)
    [row] = database.ask(clock_cloud.state, _LAST, ledger.operation(server, place.form.kind).id)
    off_s = database.seconds(row[0]) - time.time()
    fault = f"wall clock stepped by {by_s // HOUR_S:+d} h during the step"
    aim.note(server, place, fault, recover_s, fired=abs(off_s - by_s) < HOUR_S / 2)
    aim.remove(server)
