"""A cloud whose PostgreSQL is behind PgBouncer, which gives each transaction another session."""

from collections.abc import Iterator

import pytest

from tests.cloud import leftovers, servers
from tests.cloud.cloud import Cloud, until
from tests.cloud.conftest import _folder, _free_port, _running
from tests.cloud.pgbouncer import PgBouncer, running
from tests.cloud.postgresql import Cluster

pytestmark = [pytest.mark.cloud]

BOOTS = 12


@pytest.fixture(scope="module")
def bouncer() -> Iterator[PgBouncer]:
    cluster = Cluster.make()
    try:
        with running(cluster) as made:
            yield made
    finally:
        cluster.remove()


@pytest.fixture(scope="module")
def cloud(bouncer: PgBouncer) -> Iterator[Cloud]:
    made = Cloud(_folder("bouncer"), "fake", _free_port(), "fake-1", {"DATABASE_URL": bouncer.url})
    for one in _running(made, "--hosts", "2"):
        before = leftovers.snapshot(one.state)
        yield one
        assert one.settled(before) == []
        doctor = one.doctor()
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr


def test_servers_are_booted_used_and_deleted_through_pgbouncer(cloud: Cloud) -> None:
    made = [servers.boot(cloud) for _ in range(BOOTS)]
    for server in made:
        server.await_status("ACTIVE")
    for server in made:
        server.act("os-stop")
    # What is read row by row must not need the session that it began in; others have taken that meanwhile.
    for _ in range(50):
        used = cloud.admin.get("/compute/v2.1/os-simple-tenant-usage?detailed=1&start=2020-01-01T00:00:00")
        shown = {server["instance_id"] for one in used["tenant_usages"] for server in one["server_usages"]}
        assert shown >= {server.id for server in made}
    for server in made:
        server.await_status("SHUTOFF")
    for server in made:
        server.delete()
    for server in made:
        server.await_gone()


def test_boots_outlive_a_pgbouncer_that_is_killed(cloud: Cloud, bouncer: PgBouncer) -> None:
    made = [servers.boot(cloud) for _ in range(BOOTS)]
    bouncer.kill()
    until(lambda: not bouncer.answers(), 5, "PgBouncer to be gone")
    bouncer.start()
    for server in made:
        server.await_status("ACTIVE")
    assert [servers.holdings(server) for server in made] == [servers.WHOLE] * BOOTS
    for server in made:
        server.delete()
    for server in made:
        server.await_gone()
