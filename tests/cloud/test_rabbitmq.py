"""A cloud on RabbitMQ, by its address alone: restarted, emptied, hung, short of memory, and a worker killed on it."""

import time
from collections.abc import Iterator

import pytest

from tests.cloud import timings
from tests.cloud.cloud import Cloud, until
from tests.cloud.patience import patience
from tests.cloud.rabbitmq import RabbitMQ
from tests.cloud.servers import WHOLE, Server, boot, holdings, request

pytestmark = pytest.mark.cloud

MANY = 20
POST_S = 2.0  # an API call may take this long while the broker takes nothing
GATE = "create.place.taken"
HOST_GATE = "create.disks.taken"


@pytest.fixture
def restored(rabbitmq: RabbitMQ) -> Iterator[None]:
    """Have the broker run as usual again, whatever became of the test."""
    yield
    rabbitmq.mend()


def timed_boot(cloud: Cloud, when: str) -> Server:
    """Ask for a server, and see that the answer is 202 and comes soon."""
    client = cloud.client()
    client.get("/compute/v2.1/flavors")  # the log-in is not measured
    body = request(cloud)
    began = time.monotonic()
    answer = client.post("/compute/v2.1/servers", body)
    taken = time.monotonic() - began
    timings.note(f"RabbitMQ: POST while {when}", taken)
    assert taken < POST_S * patience()
    return Server(cloud, answer["server"]["id"], cloud.admin)


def all_made(servers: list[Server], since: str) -> None:
    """See that every server is made, once, and delete them."""
    began = time.monotonic()
    for server in servers:
        server.await_status("ACTIVE")
    timings.note(f"RabbitMQ: {since}, to {len(servers)} ACTIVE", time.monotonic() - began)
    assert [holdings(server) for server in servers] == [WHOLE] * len(servers)
    for server in servers:
        server.delete()
    for server in servers:
        server.await_gone()


def test_no_redis_runs_and_each_queue_is_of_its_type(rabbitmq_cloud: Cloud, rabbitmq: RabbitMQ) -> None:
    assert "redis" not in {process.name for process in rabbitmq_cloud.supervisor.processes()}
    rows = rabbitmq.control("list_queues", "--no-table-headers", "name", "type", "durable", "arguments")
    shown = {name: words for name, *words in (line.split("\t") for line in rows.splitlines())}
    assert shown["control"][:2] == ["quorum", "true"]
    assert '"x-delivery-limit",10' in shown["control"][2].replace(" ", "")
    assert {name for name in shown if not name.startswith("host.fake-")} == {"control"}
    assert all(words[:2] == ["classic", "true"] for name, words in shown.items() if name != "control")
    assert rabbitmq_cloud.doctor().returncode == 0


def test_boots_are_made_soon(rabbitmq_cloud: Cloud) -> None:
    all_made([boot(rabbitmq_cloud) for _ in range(MANY)], "accepted")


def test_boots_survive_a_restart_of_the_broker(rabbitmq_cloud: Cloud, rabbitmq: RabbitMQ) -> None:
    rabbitmq_cloud.gates.close(GATE)
    servers = [boot(rabbitmq_cloud) for _ in range(MANY)]
    rabbitmq_cloud.gates.await_reached(GATE)
    rabbitmq.kill()
    servers += [timed_boot(rabbitmq_cloud, "it is gone") for _ in range(3)]
    rabbitmq_cloud.gates.open(GATE)
    rabbitmq.start()
    all_made(servers, "restarted")


def test_boots_survive_the_loss_of_all_that_is_in_the_broker(
    rabbitmq_cloud: Cloud, rabbitmq: RabbitMQ
) -> None:
    for throw_away in (rabbitmq.purge, rabbitmq.delete):
        rabbitmq_cloud.gates.close(GATE)
        servers = [boot(rabbitmq_cloud) for _ in range(MANY)]
        rabbitmq_cloud.gates.await_reached(GATE)
        assert rabbitmq.waiting("control") >= MANY - 4, "so many boots wait in the queue"
        throw_away("control")
        rabbitmq_cloud.gates.open(GATE)
        all_made(servers, f"queue lost by {throw_away.__name__}")
    servers = [boot(rabbitmq_cloud) for _ in range(MANY)]
    rabbitmq.wipe()
    all_made(servers, "wiped")


def test_a_worker_killed_on_rabbitmq_loses_no_boot(rabbitmq_cloud: Cloud) -> None:
    rabbitmq_cloud.gates.close(HOST_GATE)
    servers = [boot(rabbitmq_cloud) for _ in range(MANY)]
    worker = rabbitmq_cloud.name_of(rabbitmq_cloud.gates.await_reached(HOST_GATE))
    killed = rabbitmq_cloud.kill(worker)
    rabbitmq_cloud.gates.open(HOST_GATE)
    rabbitmq_cloud.await_back(worker, killed)
    all_made(servers, "host worker killed")


def test_requests_do_not_wait_for_a_broker_that_hangs(
    rabbitmq_cloud: Cloud, rabbitmq: RabbitMQ, restored: None
) -> None:
    boot_and_delete(rabbitmq_cloud)  # so that the web process holds a connection
    rabbitmq.pause()
    servers = [timed_boot(rabbitmq_cloud, "it hangs") for _ in range(4)]
    rabbitmq.resume()
    all_made(servers, "hung")


def test_requests_do_not_wait_for_a_broker_that_is_short_of_memory(
    rabbitmq_cloud: Cloud, rabbitmq: RabbitMQ, restored: None
) -> None:
    rabbitmq.fill_memory()
    servers = [timed_boot(rabbitmq_cloud, "it is short of memory") for _ in range(4)]
    assert {server.shown["status"] for server in servers} == {"BUILD"}, "a message went through nevertheless"
    rabbitmq.free_memory()
    all_made(servers, "short of memory")


def test_doctor_names_a_queue_that_nobody_reads_and_a_broker_that_is_away(
    rabbitmq_cloud: Cloud, rabbitmq: RabbitMQ, restored: None
) -> None:
    rabbitmq_cloud.stop("host-fake-2")
    said = rabbitmq_cloud.doctor()
    assert said.returncode == 1
    assert "nobody reads queue host.fake-2" in said.stdout
    rabbitmq_cloud.start("host-fake-2")
    until(lambda: rabbitmq_cloud.doctor().returncode == 0, 20, "doctor to be content", every_s=0.5)
    rabbitmq.kill()
    said = rabbitmq_cloud.doctor()
    assert said.returncode == 1
    assert "the broker does not answer" in said.stdout
    rabbitmq.start()


def boot_and_delete(cloud: Cloud) -> None:
    """Make a server and delete it."""
    server = boot(cloud)
    server.await_status("ACTIVE")
    server.delete()
    server.await_gone()
