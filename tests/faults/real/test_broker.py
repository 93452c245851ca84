"""The broker restarted, wiped, paused, cut off and short of memory, under load: nothing lost, soon all moves again."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from computecloud.cli.failures import Failure
from tests.cloud import brokers, timings
from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import NOTHING, WHOLE, Server, boot, holdings
from tests.faults.record import RECOVER_S, Row, note

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

EVERY_S = 0.4  # between two boots of the load: a minute of them finds addresses
BEFORE_S = 3.0
UNDONE = {**NOTHING, "charges": 1}  # a server in ERROR keeps its quota until it is deleted
POST_S = 5.0  # a request may take this long while the broker takes nothing, on a machine that does much else
PAUSE_S = 60.0
CUT_S = 10.0


@dataclass
class Load:
    """Boots asked for one after the other in a thread of its own."""

    cloud: Cloud
    servers: list[Server] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    longest_s: float = 0.0
    _end: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask for a server now and then until told to end."""
        client = self.cloud.client()
        while not self._end.wait(EVERY_S):
            began = time.monotonic()
            try:
                self.servers.append(boot(self.cloud, client))
            except Failure as failure:
                self.failures.append(failure)
            self.longest_s = max(self.longest_s, time.monotonic() - began)

    def end(self) -> None:
        """Ask for no more."""
        self._end.set()


@pytest.fixture
def load(cloud: Cloud) -> Iterator[Load]:
    """Return a load that runs; in the end its servers are gone."""
    made = Load(cloud)
    thread = threading.Thread(target=made.run)
    thread.start()
    time.sleep(BEFORE_S)
    yield made
    made.end()
    thread.join(30)
    for server in made.servers:
        server.client = cloud.admin
        server.delete()
    for server in made.servers:
        server.await_gone()


@pytest.fixture
def broker(cloud: Cloud) -> Iterator[brokers.Broker]:
    """Return the cloud's broker, which runs as usual in the end."""
    found = brokers.of(cloud)
    yield found
    found.mend()


def is_made(server: Server, *, expires: bool) -> bool:
    """Wait until a server is ACTIVE; False where it is in ERROR because its time was up, if it may be."""

    def ended() -> str:
        shown = server.shown
        return str(shown["status"]) if shown["OS-EXT-STS:task_state"] is None else ""

    if until(ended, 4 * RECOVER_S, f"server {server.id} to be made") == "ACTIVE":
        return True
    words = server.shown["fault"]["message"]
    assert expires and words.startswith("not finished within"), words
    return False


def recovered(cloud: Cloud, load: Load, fault: str, *, fired: bool, expires: bool = False) -> None:
    """See that all that was accepted is made within the time allowed, once; the fault has just ended.

    expires: it lasted longer than a boot may take here, so that some boots are undone, with that as their reason.
    """
    began = time.monotonic()
    time.sleep(1.0)
    load.end()
    assert load.failures == []
    assert load.longest_s < POST_S
    servers = list(load.servers)
    for server in servers:
        server.client = cloud.admin
    made = [server for server in servers if is_made(server, expires=expires)]
    took_s = time.monotonic() - began
    assert [holdings(server) for server in made] == [WHOLE] * len(made)
    assert [holdings(server) for server in servers if server not in made] == [UNDONE] * (
        len(servers) - len(made)
    )
    timings.note(f"{cloud.stack}: {fault} under load, to all ACTIVE", took_s)
    timings.note(f"{cloud.stack}: longest POST while {fault}", load.longest_s)
    outcome = f"{len(made)} of {len(servers)} boots succeeded, the others' time was up: undone"
    if len(made) == len(servers):
        outcome = f"all {len(made)} boots succeeded"
    note(Row(cloud.stack, "create", "every step", f"{fault}, under load", outcome, took_s), fired=fired)


def dead_hosts(cloud: Cloud) -> int:
    """Return how often a host was declared dead."""
    return (cloud.state / "log" / "control.log").read_text().count('"host.dead"')


def test_a_broker_that_is_killed_and_restarted_loses_nothing(
    cloud: Cloud, load: Load, broker: brokers.Broker
) -> None:
    said = lost_connections(cloud)
    broker.restart()
    recovered(cloud, load, "broker killed and restarted", fired=lost_connections(cloud) > said)


def lost_connections(cloud: Cloud) -> int:
    """Return how often the control worker said that it lost its broker."""
    log = (cloud.state / "log" / "control.log").read_text()
    return log.count("Connection to broker lost") + log.count("Cannot connect to")


def test_a_broker_that_is_wiped_loses_nothing(cloud: Cloud, load: Load, broker: brokers.Broker) -> None:
    gate = "create.place.taken"
    cloud.gates.close(gate)  # so that there is something to be wiped
    cloud.gates.await_reached(gate)
    time.sleep(2.0)
    before = len(load.servers)
    broker.wipe()
    cloud.gates.open(gate)
    recovered(cloud, load, "broker wiped", fired=before > 5)


def test_a_broker_that_is_paused_for_a_minute_kills_no_host(
    cloud: Cloud, load: Load, broker: brokers.Broker
) -> None:
    dead, asked = dead_hosts(cloud), len(load.servers)
    broker.pause()
    time.sleep(PAUSE_S)
    assert len(load.servers) - asked >= PAUSE_S / POST_S, "requests were held up"
    broker.resume()
    recovered(cloud, load, f"broker paused for {PAUSE_S:.0f} s", fired=True, expires=True)
    services = cloud.admin.get("/compute/v2.1/os-services?binary=nova-compute")["services"]
    assert {service["state"] for service in services} == {"up"}
    assert dead_hosts(cloud) == dead


def test_a_broker_short_of_memory_refuses_and_requests_do_not(
    cloud: Cloud, load: Load, broker: brokers.Broker
) -> None:
    said = refusals(cloud)
    broker.fill_memory()
    time.sleep(8.0)
    fired = refusals(cloud) > said
    broker.free_memory()
    recovered(cloud, load, "broker out of memory for 8 s", fired=fired)


def refusals(cloud: Cloud) -> int:
    """Return how often the web process said that a message was not taken."""
    return (cloud.state / "log" / "web.log").read_text().count("did not take the message")


def test_connections_that_are_half_open_are_found(cloud: Cloud, load: Load, broker: brokers.Broker) -> None:
    if cloud.rabbitmq is None:
        pytest.skip("a unix socket cannot be half open")
    said = lost_connections(cloud)
    brokers.cut_off(cloud.rabbitmq)
    try:
        cloud.rabbitmq.kill()
        time.sleep(CUT_S)
    finally:
        brokers.connect_again()
    cloud.rabbitmq.start()  # it knows nothing of the connections that its clients hold
    recovered(cloud, load, "broker's connections half open", fired=lost_connections(cloud) > said)
