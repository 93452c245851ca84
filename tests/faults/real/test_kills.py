"""A worker killed with SIGKILL at every point of every registered workflow, done and undone; and one told to drain."""

import time

import pytest

from tests.cloud import timings
from tests.cloud.cloud import Cloud
from tests.cloud.servers import Server
from tests.faults import record
from tests.faults.real import aim, ledger
from tests.faults.real.forms import FORMS, Place, places, undo_places
from workers import workflow

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

REAL = [
    place for place in places() if place.form.kind not in ("create", "delete")
]  # those: tests/cloud/test_kills.py


def kill_at(cloud: Cloud, place: Place, server: Server | None) -> Server:
    """Ask for the form, kill the worker that the gate holds, and note how long it took until the work went on."""
    cloud.gates.close(place.gate)
    server = place.form.accept(cloud, server)
    pid = aim.reach(cloud, place.gate)
    worker = cloud.name_of(pid)
    held = ledger.operation(server, place.form.kind)
    killed_at = time.time()
    cloud.kill(worker, pid=pid)
    cloud.gates.open(place.gate)
    recover_s = ledger.recovered(server, place.form.kind, killed_at)
    if recover_s is not None:
        timings.note(f"{cloud.stack}: {worker.partition('-')[0]} worker killed, to its step", recover_s)
    cloud.await_back(worker, pid)
    aim.await_end(server, place.form.after_undo if "undo" in place.gate else place.form.ends)
    ledger.check_once(server, place.form.kind)
    fault = record.at(f"SIGKILL of the {worker.partition('-')[0]} worker", place.gate)
    aim.note(server, place, fault, recover_s, fired=held.leased or place.gate.endswith("committed"))
    return server


@pytest.mark.parametrize("place", list(places()), ids=str)
def test_a_worker_killed_at_any_point_is_made_good(cloud: Cloud, place: Place) -> None:
    server = kill_at(cloud, place, place.form.begin(cloud))
    aim.remove(server)


@pytest.mark.parametrize("place", list(undo_places()), ids=str)
def test_a_worker_killed_at_any_point_of_an_undo_is_made_good(cloud: Cloud, place: Place) -> None:
    last = f"{place.form.kind}.{place.form.steps[-1].name}.done"
    server = place.form.begin(cloud)
    cloud.gates.fail(last, "made to fail")
    server = kill_at(cloud, place, server)
    assert cloud.gates.was_reached(last)
    aim.remove(server)


@pytest.mark.parametrize("place", REAL, ids=str)
def test_a_real_hosts_worker_killed_at_any_point_is_made_good(real_cloud: Cloud, place: Place) -> None:
    server = kill_at(real_cloud, place, place.form.begin(real_cloud))
    aim.remove(server)


def test_every_workflow_has_a_form_and_every_step_is_in_one() -> None:
    for kind, flow in workflow.registered().items():
        if not kind.startswith("toy"):
            steps = {step.name for form in FORMS if form.kind == kind for step in form.steps}
            assert steps == {step.name for step in flow.steps}, f"{kind}: its form is missing in forms.py"
