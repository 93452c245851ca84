"""What the tests of faults on real processes share: their servers' ends, and the rows of the matrix."""

from tests.cloud.cloud import Cloud
from tests.cloud.gates import REACH_S
from tests.cloud.servers import ACTIVE_S, NOTHING, Server, holdings
from tests.faults import record
from tests.faults.real import ledger
from tests.faults.real.forms import ENDS, Place

SLOW_S = 90.0


def reach(cloud: Cloud, gate: str) -> int:
    """Wait until a worker stands at the gate; returns its pid. A real guest hears its power button late."""
    return cloud.gates.await_reached(gate, SLOW_S if cloud.driver == "libvirt" else REACH_S)


def await_end(server: Server, status: str, seconds: float = 0.0) -> None:
    """Wait until the server is idle in the status, "" for gone, with what it must hold then and no more."""
    seconds = seconds or (SLOW_S if server.cloud.driver == "libvirt" else ACTIVE_S)
    if status:
        server.await_status(status, seconds)
    else:
        server.await_gone(seconds)
    assert holdings(server) == ENDS[status]


def remove(server: Server) -> None:
    """Delete the server and see that it goes whole."""
    server.delete()
    server.await_gone()
    assert holdings(server) == NOTHING


def stack_of(cloud: Cloud) -> str:
    """Return the column of the matrix that a cloud's rows stand in."""
    return "libvirt" if cloud.driver == "libvirt" else cloud.stack


def note(server: Server, place: Place, fault: str, recover_s: float | None, *, fired: bool) -> None:
    """Keep the row of an operation that has ended as it must."""
    state = ledger.operation(server, place.form.kind).state
    outcome = "undone" if state == "failed" else state
    record.note(
        record.Row(stack_of(server.cloud), place.form.name, place.step, fault, outcome, recover_s),
        fired=fired,
    )
