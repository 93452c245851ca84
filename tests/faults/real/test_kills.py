"""A worker killed with SIGKILL at every point of every registered workflow, done and undone; and one told to drain."""

import time

import pytest

from tests.cloud import timings
from tests.cloud.cloud import Cloud
from tests.cloud.servers import ACTIVE_S, NOTHING, Server, holdings
from tests.faults import record
from tests.faults.real import ledger
from tests.faults.real.forms import ENDS, FORMS, Form, Place, places, undo_places
from workers import workflow

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

REAL = [
    place for place in places() if place.form.kind not in ("create", "delete")
]  # those: tests/cloud/test_kills.py


def await_end(server: Server, status: str) -> None:
    """Wait until the server is idle in the status, "" for gone, with what it must hold then and no more."""
    if status:
        server.await_status(status, ACTIVE_S)
    else:
        server.await_gone(ACTIVE_S)
    assert holdings(server) == ENDS[status]


def remove(server: Server) -> None:
    """Delete the server and see that it goes whole."""
    server.delete()
    server.await_gone()
    assert holdings(server) == NOTHING


def kill_at(cloud: Cloud, place: Place, server: Server | None) -> Server:
    """Ask for the form, kill the worker that the gate holds, and note how long it took until the work went on."""
    cloud.gates.close(place.gate)
    server = place.form.accept(cloud, server)
    pid = cloud.gates.await_reached(place.gate)
    worker = cloud.name_of(pid)
    held = ledger.operation(server, place.form.kind)
    killed_at = time.time()
    cloud.kill(worker, pid=pid)
    cloud.gates.open(place.gate)
    recover_s = ledger.recovered(server, place.form.kind, killed_at)
    if recover_s is not None:
        timings.note(f"{cloud.stack}: {worker.partition('-')[0]} worker killed, to its step", recover_s)
    cloud.await_back(worker, pid)
    end = place.form.ends if "undo" not in place.gate else after_undo(place.form)
    await_end(server, end)
    ledger.check_once(server, place.form.kind)
    fault = record.at(f"SIGKILL of the {worker.partition('-')[0]} worker", place.gate)
    state = ledger.operation(server, place.form.kind).state
    outcome = "undone" if state == "failed" else state  # to the status of before, seen above
    row = record.Row(stack_of(cloud), place.form.name, place.step, fault, outcome, recover_s)
    record.note(row, fired=held.leased or place.gate.endswith("committed"))
    return server


def stack_of(cloud: Cloud) -> str:
    """Return the column of the matrix that a cloud's rows stand in."""
    return "libvirt" if cloud.driver == "libvirt" else cloud.stack


def after_undo(form: Form) -> str:
    """Return the status in which an undo leaves the server: as it was, or made on another node."""
    return form.before or form.ends


@pytest.mark.parametrize("place", list(places()), ids=str)
def test_a_worker_killed_at_any_point_is_made_good(cloud: Cloud, place: Place) -> None:
    server = kill_at(cloud, place, place.form.begin(cloud))
    remove(server)


@pytest.mark.parametrize("place", list(undo_places()), ids=str)
def test_a_worker_killed_at_any_point_of_an_undo_is_made_good(cloud: Cloud, place: Place) -> None:
    last = f"{place.form.kind}.{place.form.steps[-1].name}.done"
    server = place.form.begin(cloud)
    cloud.gates.fail(last, "made to fail")
    server = kill_at(cloud, place, server)
    assert cloud.gates.was_reached(last)
    remove(server)


@pytest.mark.parametrize("place", REAL, ids=str)
def test_a_real_hosts_worker_killed_at_any_point_is_made_good(real_cloud: Cloud, place: Place) -> None:
    server = kill_at(real_cloud, place, place.form.begin(real_cloud))
    remove(server)


def test_every_workflow_has_a_form_and_every_step_is_in_one() -> None:
    for kind, flow in workflow.registered().items():
        if not kind.startswith("toy"):
            steps = {step.name for form in FORMS if form.kind == kind for step in form.steps}
            assert steps == {step.name for step in flow.steps}, f"{kind}: its form is missing in forms.py"
