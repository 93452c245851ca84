"""The broker restarted, wiped, paused, cut off and short of memory, under load: nothing lost, soon all moves again."""

import time
from collections.abc import Iterator

import pytest

from tests.cloud import brokers
from tests.cloud.cloud import Cloud
from tests.faults.real.load import POST_S, Load, lost_connections, recovered

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

PAUSE_S = 60.0
CUT_S = 10.0


@pytest.fixture
def broker(cloud: Cloud) -> Iterator[brokers.Broker]:
    """Return the cloud's broker, which runs as usual in the end."""
    found = brokers.of(cloud)
    yield found
    found.mend()


def dead_hosts(cloud: Cloud) -> int:
    """Return how often a host was declared dead."""
    return (cloud.state / "log" / "control.log").read_text().count('"host.dead"')


def test_a_broker_that_is_killed_and_restarted_loses_nothing(
    cloud: Cloud, load: Load, broker: brokers.Broker
) -> None:
    said = lost_connections(cloud)
    broker.restart()
    recovered(cloud, load, "broker killed and restarted", fired=lost_connections(cloud) > said)


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
        pytest.skip("a unix socket cannot be half open: Redis on TCP is in test_redis_tcp.py")
    said = lost_connections(cloud)
    brokers.cut_off(cloud.rabbitmq.port)
    try:
        cloud.rabbitmq.kill()
        time.sleep(CUT_S)
    finally:
        brokers.connect_again()
    cloud.rabbitmq.start()  # it knows nothing of the connections that its clients hold
    recovered(cloud, load, "broker's connections half open", fired=lost_connections(cloud) > said)
