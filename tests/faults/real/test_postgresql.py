"""PostgreSQL fails at every step of every workflow, each time with the worker of the step held at a known point."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cloud.cloud import Cloud, until
from tests.cloud.losing import LosingProxy
from tests.cloud.postgresql import Cluster
from tests.cloud.servers import ACTIVE_S, boot
from tests.faults import record
from tests.faults.real import aim, ledger
from tests.faults.real.conftest import STACKS
from tests.faults.real.forms import Place, places

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.faults,
    pytest.mark.parametrize("cloud", [STACKS[1]], indirect=True),
]

AWAY_S = 1.0
END_S = 60.0
PROBES = [place for place in places() if place.gate.endswith((".taken", ".done", ".committed"))]
COMMITS = [place for place in places() if place.gate.endswith(".done")]
_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_RAISE_ONCE = """
CREATE SEQUENCE fault_times;
CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('fault_times') = 1 THEN RAISE EXCEPTION 'made to fail' USING ERRCODE = '{code}'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fault BEFORE UPDATE ON workers_operation FOR EACH ROW EXECUTE FUNCTION fault();
"""
_RAISED = "SELECT is_called FROM fault_times"
_NO_MORE = "DROP TRIGGER fault ON workers_operation; DROP FUNCTION fault(); DROP SEQUENCE fault_times"


@pytest.fixture
def cluster(cloud: Cloud) -> Cluster:
    return Cluster(Path(cloud.settings["DATABASE_URL"].partition("host=")[2]))


def sql(cluster: Cluster, statement: str) -> Any:
    """Run a statement; returns the first value that it answers, where it answers."""
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def strike(cloud: Cloud, place: Place, fault: str, during: Callable[[], Callable[[], bool]]) -> None:
    """Have `during` begin a fault while a worker is held at the place; what that returns ends it, true if it fired."""
    server = place.form.begin(cloud)
    cloud.gates.close(place.gate)
    server = place.form.accept(cloud, server)
    aim.reach(cloud, place.gate)
    end = during()
    began_at = time.time()
    cloud.gates.open(place.gate)
    fired = end()
    recover_s = ledger.recovered(server, place.form.kind, began_at, END_S)
    aim.await_end(server, place.form.ends, END_S)
    ledger.check_once(server, place.form.kind)
    aim.note(server, place, record.at(fault, place.gate), recover_s, fired=fired)
    aim.remove(server)


@pytest.mark.parametrize(
    ("mode", "place"),
    [("fast", place) for place in COMMITS] + [("immediate", place) for place in PROBES],
    ids=str,
)
def test_postgresql_restarted_at_any_point(cloud: Cloud, cluster: Cluster, mode: str, place: Place) -> None:
    def begin() -> Callable[[], bool]:
        cluster.stop(mode)
        return end

    def end() -> bool:
        time.sleep(AWAY_S)
        cluster.start()
        return True

    strike(cloud, place, f"PostgreSQL restarted ({mode})", begin)


@pytest.mark.parametrize("place", PROBES, ids=str)
def test_every_backend_killed_at_any_point(cloud: Cloud, cluster: Cluster, place: Place) -> None:
    def begin() -> Callable[[], bool]:
        killed = sql(cluster, _SESSIONS)
        return lambda: killed > 0

    strike(cloud, place, "PostgreSQL's backends killed", begin)


@pytest.mark.parametrize("place", COMMITS, ids=str)
@pytest.mark.parametrize(("what", "code"), [("serialization failure", "40001"), ("deadlock", "40P01")])
def test_a_step_whose_commit_fails_is_tried_again(
    cloud: Cloud, cluster: Cluster, what: str, code: str, place: Place
) -> None:
    def begin() -> Callable[[], bool]:
        sql(cluster, _RAISE_ONCE.format(code=code))
        return end

    def end() -> bool:
        until(lambda: sql(cluster, _RAISED), END_S, "the trigger to raise")
        sql(cluster, _NO_MORE)
        return True

    strike(cloud, place, what, begin)


def test_no_connection_left_for_anybody(cloud: Cloud, cluster: Cluster) -> None:
    servers = [boot(cloud) for _ in range(4)]
    mine: list[psycopg.Connection[Any]] = []
    refused = 0
    try:
        while refused < 3:
            try:
                mine.append(psycopg.connect(cluster.url, autocommit=True))
            except psycopg.OperationalError:
                refused += 1
                mine[0].execute(_SESSIONS.replace("pid <> pg_backend_pid()", "usename IS NOT NULL AND pid <> ALL(%s)"),
                                ([one.info.backend_pid for one in mine],))  # fmt: skip
        time.sleep(AWAY_S * 5)
    finally:
        for connection in mine:
            connection.close()
    for server in servers:
        aim.await_end(server, "ACTIVE", END_S)
        ledger.check_once(server, "create")
    fault = f"PostgreSQL has no connection left for {AWAY_S * 5:.0f} s"
    record.note(record.Row(STACKS[1], "create", "all", fault, "succeeded"), fired=refused == 3)
    for server in servers:
        aim.remove(server)


@pytest.fixture(scope="module")
def proxy(cloud: Cloud) -> Iterator[LosingProxy]:
    """Have the workers reach PostgreSQL through a proxy that can lose an answer."""
    socket = Path(cloud.settings["DATABASE_URL"].partition("host=")[2]) / ".s.PGSQL.5432"
    made = LosingProxy(socket)
    try:
        restart_workers(cloud)
        yield made
    finally:
        made.close()
        restart_workers(cloud)


def restart_workers(cloud: Cloud) -> None:
    """Have every worker connect anew."""
    for process in cloud.supervisor.processes():
        if process.name.startswith(("host-", "control")):
            cloud.stop(process.name)
            cloud.start(process.name)
    cloud.await_running()


@pytest.mark.parametrize("place", COMMITS, ids=str)
def test_the_answer_to_commit_lost(cloud: Cloud, proxy: LosingProxy, place: Place) -> None:
    server = place.form.begin(cloud)
    cloud.gates.close(place.gate)
    server = place.form.accept(cloud, server)
    pid = aim.reach(cloud, place.gate)
    proxy.arm(pid)
    cloud.gates.open(place.gate)
    until(lambda: proxy.fired, ACTIVE_S, "an answer to be lost")
    lost_at = time.time()
    recover_s = ledger.recovered(server, place.form.kind, lost_at, END_S)
    aim.await_end(server, place.form.ends, END_S)
    ledger.check_once(server, place.form.kind)
    aim.note(server, place, "the answer to its COMMIT lost", recover_s, fired=proxy.fired == 1)
    aim.remove(server)
