"""The network to a PostgreSQL on another machine goes dark: requests are answered, and all moves when it is back."""

import time
from collections.abc import Iterator

import pytest

from tests.cloud import brokers, rabbitmq, timings
from tests.cloud.cloud import Cloud, until
from tests.cloud.postgresql import Cluster
from tests.cloud.rabbitmq import free_port
from tests.cloud.servers import WHOLE, Server, holdings
from tests.faults.real.conftest import fake, watched
from tests.faults.real.load import UNDONE, is_made, under_load
from tests.faults.record import Row, note
from tests.lanes import STACKS

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

DARK_S = 20.0  # both ends have given up their connections by then
ANSWER_S = 25.0  # 15 s of silence, and a new connection in vain
WITHIN_S = 20.0
UNAVAILABLE = "refused with 503: The service's database does not answer at the moment"


@pytest.fixture(scope="module")
def port() -> int:
    """Return the port that PostgreSQL listens on."""
    return free_port()


@pytest.fixture(scope="module")
def cloud(port: int) -> Iterator[Cloud]:
    """Return a cloud with two fake hosts whose PostgreSQL is reached over TCP."""
    made = fake("pgtcp")
    made.stack = STACKS[1]
    cluster = Cluster.make("listen_addresses=127.0.0.1", f"port={port}")
    try:
        made.settings["DATABASE_URL"] = f"postgresql://test@127.0.0.1:{port}/postgres"
        with rabbitmq.running() as broker:
            made.rabbitmq, made.settings["BROKER_URL"] = broker, broker.url
            yield from watched(made, "--hosts", "2")
    finally:
        cluster.remove()


def everything(cloud: Cloud) -> list[Server]:
    """Return every server there is: one may have been made whose request was answered 503."""
    listed = cloud.admin.get("/compute/v2.1/servers?limit=1000")["servers"]
    return [Server(cloud, one["id"], cloud.admin) for one in listed]


def test_a_network_to_postgresql_that_is_dark_for_a_while_is_survived(cloud: Cloud, port: int) -> None:
    with under_load(cloud) as load:
        asked = len(load.servers)
        brokers.cut_off(port)
        try:
            time.sleep(DARK_S)
        finally:
            brokers.connect_again()
        began, refused = time.monotonic(), len(load.failures)
        answered = len(load.servers)
        until(lambda: len(load.servers) > answered, WITHIN_S, "requests to be taken again")
        load.end()
        time.sleep(1.0)
        servers = everything(cloud)
        load.servers[:] = servers  # which are deleted in the end
        made = [server for server in servers if is_made(server, expires=True)]
        took_s = time.monotonic() - began
        assert took_s < WITHIN_S, f"all moved {took_s:.1f} s after the network was back"
        assert len(servers) > asked >= 2
        assert [holdings(server) for server in made] == [WHOLE] * len(made)
        rest = [server for server in servers if server not in made]
        assert [holdings(server) for server in rest] == [UNDONE] * len(rest)
        assert all(UNAVAILABLE in words.message for words in load.failures), load.failures
        assert load.longest_s < ANSWER_S
        timings.note(f"{cloud.stack}: longest POST while the database is dark", load.longest_s)
    fault = f"database's network dark for {DARK_S:.0f} s"
    outcome = f"{len(made)} of {len(servers)} boots succeeded, {refused} requests were answered 503"
    note(Row(cloud.stack, "create", "every step", f"{fault}, under load", outcome, took_s), fired=refused > 0)
