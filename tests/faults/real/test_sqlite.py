"""Another process holds SQLite's write lock for seconds, at every step of every workflow."""

import sqlite3
import time

import pytest

from tests.cloud.cloud import Cloud
from tests.faults import record
from tests.faults.real import aim, ledger
from tests.faults.real.conftest import STACKS
from tests.faults.real.forms import Place, places

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.faults,
    pytest.mark.parametrize("cloud", [STACKS[0]], indirect=True),
]

SHORT_S, LONG_S = 3.0, 25.0  # writers wait 20 s
END_S = 60.0
POINTS = [place for place in places() if place.gate.endswith((".taken", ".done"))]
LONG = [place for place in POINTS if place.form.name == "create" and place.step in ("place", "disks")]
CASES = [(SHORT_S, place) for place in POINTS] + [(LONG_S, place) for place in LONG]


@pytest.mark.parametrize(("seconds", "place"), CASES, ids=str)
def test_sqlite_locked_at_any_point_is_waited_for(cloud: Cloud, seconds: float, place: Place) -> None:
    server = place.form.begin(cloud)
    cloud.gates.close(place.gate)
    server = place.form.accept(cloud, server)
    aim.reach(cloud, place.gate)
    stranger = sqlite3.connect(cloud.state / "computecloud.sqlite3", isolation_level=None, timeout=30)
    stranger.execute("BEGIN IMMEDIATE")
    held = ledger.operation(server, place.form.kind)
    cloud.gates.open(place.gate)
    time.sleep(seconds)
    stands = ledger.operation(server, place.form.kind) == held
    stranger.rollback()
    stranger.close()
    freed_at = time.time()
    recover_s = ledger.recovered(server, place.form.kind, freed_at, END_S)
    aim.await_end(server, place.form.ends, END_S)
    ledger.check_once(server, place.form.kind)
    fault = record.at(f"SQLite locked for {seconds:.0f} s", place.gate)
    aim.note(server, place, fault, recover_s, fired=stands)
    aim.remove(server)
