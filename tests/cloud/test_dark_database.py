"""A machine that goes dark, or a process that stands still, in a transaction locks nobody out for long."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from computecloud.cli.installation import ROOT
from tests.cloud import brokers, timings
from tests.cloud.cloud import until
from tests.cloud.postgresql import Cluster
from tests.cloud.rabbitmq import free_port

pytestmark = [pytest.mark.cloud]

LEASE_S = 8
FOUND_S = 20.0  # a silence of 15 s, which is noticed at the next question
_HOLD = """
import sys
import django
django.setup()
from django.db import connection, transaction
from computecloud.wire.outage import is_outage
try:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE held SET by_whom = 'us'")
        print("holds", flush=True)
        sys.stdin.readline()
        cursor.execute("SELECT 1")
except Exception as error:
    print("an outage" if is_outage(error) else type(error), error)
"""


@pytest.fixture
def database() -> Iterator[Cluster]:
    made = Cluster.make("listen_addresses=127.0.0.1", f"port={free_port()}")
    try:
        with psycopg.connect(socket_of(made), autocommit=True) as own:
            own.execute("CREATE TABLE held (by_whom text)")
            own.execute("INSERT INTO held VALUES ('nobody')")
        yield made
    finally:
        made.remove()


@pytest.fixture
def holder(database: Cluster, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return what starts a process of ours that holds a row in a transaction, reached over TCP."""
    started: list[subprocess.Popen[str]] = []

    def start(**settings: str) -> subprocess.Popen[str]:
        settings = {
            "STATE_DIR": str(tmp_path),
            "SECRET_KEY": "of a test, and long enough for every signature",
            "DATABASE_URL": f"postgresql://test@127.0.0.1:{port_of(database)}/postgres",
            **settings,
        }
        environment = {f"COMPUTECLOUD_{name}": value for name, value in settings.items()}
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD],
            cwd=ROOT,
            env={**os.environ, **environment, "DJANGO_SETTINGS_MODULE": "computecloud.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "holds\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def port_of(database: Cluster) -> int:
    return int(database.listen[1].partition("=")[2])


def socket_of(database: Cluster) -> str:
    return f"{database.url}&port={port_of(database)}"


def is_free(database: Cluster) -> bool:
    """Tell whether the row can be had; asked through the socket, which nobody cuts."""
    with psycopg.connect(socket_of(database), autocommit=True) as own:
        try:
            own.execute("SELECT FROM held FOR UPDATE NOWAIT")
        except psycopg.errors.LockNotAvailable:
            return False
    return True


def test_what_a_dark_machine_has_locked_is_free_within_seconds_and_it_learns_of_it(
    database: Cluster, holder: Callable[..., subprocess.Popen[str]]
) -> None:
    dark = holder(LEASE_S="600")  # so that nothing but the silence ends it
    assert not is_free(database)
    brokers.cut_off(port_of(database))
    began = time.monotonic()
    try:
        until(lambda: is_free(database), FOUND_S, "PostgreSQL to find the dark machine", every_s=0.5)
        timings.note("PostgreSQL: machine dark in a transaction, to its locks free", time.monotonic() - began)
        words, _ = dark.communicate("\n", FOUND_S)
    finally:
        brokers.connect_again()
    assert words.startswith("an outage"), words


def test_what_a_process_that_stands_still_has_locked_is_free_after_a_lease(
    database: Cluster, holder: Callable[..., subprocess.Popen[str]]
) -> None:
    still = holder(LEASE_S=str(LEASE_S))
    still.send_signal(signal.SIGSTOP)
    assert not is_free(database)
    until(lambda: is_free(database), LEASE_S + 2, "the transaction to be ended", every_s=0.5)
    still.send_signal(signal.SIGCONT)
    words, _ = still.communicate("\n", FOUND_S)
    assert words.startswith("an outage") and "idle-in-transaction timeout" in words


def test_what_the_address_says_itself_is_taken_instead(
    database: Cluster, holder: Callable[..., subprocess.Popen[str]]
) -> None:
    url = f"postgresql://test@127.0.0.1:{port_of(database)}/postgres?options=-c%20idle_in_transaction_session_timeout%3D0"
    holder(DATABASE_URL=url, LEASE_S="1")
    time.sleep(3)
    assert not is_free(database)
