"""The web process killed between commit and dispatch; Redis emptied, hung and stopped: nothing accepted is lost."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from computecloud.cli.failures import Failure
from tests.cloud import timings
from tests.cloud.cloud import Cloud, until
from tests.cloud.patience import patience
from tests.cloud.servers import ACTIVE_S, WHOLE, Server, boot, holdings, request

pytestmark = pytest.mark.cloud

MANY = 20
POST_S = 2.0  # an API call may take this long while there is no broker


@pytest.fixture
def posted() -> Iterator[Callable[[Cloud], list[Failure]]]:
    """Return what asks for a server in a thread, with the list that its failure will be in."""
    threads: list[threading.Thread] = []

    def post(cloud: Cloud, name: str) -> list[Failure]:
        failures: list[Failure] = []

        def run() -> None:
            try:
                boot(cloud, cloud.client(), name=name)
            except Failure as failure:
                failures.append(failure)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return failures

    yield post
    for thread in threads:
        thread.join(30)


def web_worker(cloud: Cloud) -> int:
    """Return the process that answers requests: the only child of the web server's own."""
    main = cloud.process("web").pid
    [child] = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return int(child)


def named(cloud: Cloud, name: str) -> Server:
    """Return the server of this name, also right after the web server came back."""
    client = cloud.client()

    def found() -> list[dict[str, str]]:
        try:
            servers: list[dict[str, str]] = client.get(f"/compute/v2.1/servers?name=^{name}$")["servers"]
        except Failure:
            return []
        return servers

    [server] = until(found, ACTIVE_S, f"server {name} to be listed")
    return Server(cloud, server["id"], client)


def killed_before_dispatch(
    cloud: Cloud, posted: Callable[..., list[Failure]], name: str, *, main: bool
) -> None:
    """Kill the web server's worker, or its main process, when a boot is committed and not yet dispatched."""
    cloud.gates.close("create.accepted")
    failures = posted(cloud, name)
    pid = cloud.gates.await_reached("create.accepted")
    assert pid == web_worker(cloud)
    before = cloud.process("web").pid
    cloud.kill("web", pid=before if main else pid)
    cloud.gates.open("create.accepted")
    began = time.monotonic()
    cloud.await_back("web", before)
    server = named(cloud, name)
    server.await_status("ACTIVE", ACTIVE_S)
    timings.note(f"{cloud.driver}: web process killed before dispatch, to ACTIVE", time.monotonic() - began)
    assert until(lambda: failures, 10, "the client to notice"), "the request was answered"
    assert holdings(server) == WHOLE
    server.delete()
    server.await_gone()


@pytest.mark.parametrize("time_", [1, 2, 3])
def test_a_web_worker_killed_between_commit_and_dispatch_loses_no_server(
    fake_cloud: Cloud, posted: Callable[..., list[Failure]], time_: int
) -> None:
    killed_before_dispatch(fake_cloud, posted, f"undispatched-{time_}", main=False)


def test_a_real_clouds_web_worker_killed_between_commit_and_dispatch_loses_no_server(
    real_cloud: Cloud, posted: Callable[..., list[Failure]]
) -> None:
    killed_before_dispatch(real_cloud, posted, "undispatched", main=False)


def test_a_web_server_whose_main_process_is_killed_comes_back_alone(
    fake_cloud: Cloud, posted: Callable[..., list[Failure]]
) -> None:
    orphan = web_worker(fake_cloud)
    killed_before_dispatch(fake_cloud, posted, "undispatched-main", main=True)
    assert not Path(f"/proc/{orphan}").exists(), "the old worker still answers requests on the same port"


def test_twenty_boots_survive_the_loss_of_all_that_is_in_redis(fake_cloud: Cloud) -> None:
    gate = "create.place.taken"
    fake_cloud.gates.close(gate)
    servers = [boot(fake_cloud) for _ in range(MANY)]
    fake_cloud.gates.await_reached(gate)
    waiting = int(redis(fake_cloud, "llen", "control"))
    assert waiting >= MANY - 4, "so many boots wait in the queue; the others are held by a thread"
    redis(fake_cloud, "flushall")
    assert redis(fake_cloud, "llen", "control") in ("0", "1")
    fake_cloud.gates.open(gate)
    all_made(servers, "Redis emptied")


def test_boots_are_accepted_while_redis_hangs_and_while_it_is_gone_and_made_when_it_is_back(
    fake_cloud: Cloud,
) -> None:
    pid = fake_cloud.process("redis").pid
    subprocess.run(["kill", "-STOP", str(pid)], check=True)
    servers = [timed_boot(fake_cloud, "Redis hangs") for _ in range(3)]
    stopping = threading.Thread(target=fake_cloud.stop, args=("redis",))
    stopping.start()
    servers += [timed_boot(fake_cloud, "Redis is being stopped") for _ in range(2)]
    stopping.join(30)
    assert not Path(f"/proc/{pid}").exists()
    servers += [timed_boot(fake_cloud, "Redis is gone") for _ in range(3)]
    assert {server.shown["status"] for server in servers} == {"BUILD"}, "a message went through nevertheless"
    fake_cloud.start("redis")
    all_made(servers, "Redis back")


def timed_boot(cloud: Cloud, when: str) -> Server:
    """Ask for a server, and see that the answer is 202 and comes soon."""
    client = cloud.client()
    client.get("/compute/v2.1/flavors")  # the log-in is not measured
    body = request(cloud)
    began = time.monotonic()
    answer = client.post("/compute/v2.1/servers", body)
    taken = time.monotonic() - began
    timings.note(f"{cloud.driver}: POST while {when}", taken)
    assert taken < POST_S * patience()
    return Server(cloud, answer["server"]["id"], cloud.admin)


def all_made(servers: list[Server], since: str) -> None:
    """See that every server is made, once, and delete them."""
    began = time.monotonic()
    for server in servers:
        server.await_status("ACTIVE", ACTIVE_S)
    timings.note(f"{servers[0].cloud.driver}: {since}, to {len(servers)} ACTIVE", time.monotonic() - began)
    assert [holdings(server) for server in servers] == [WHOLE] * len(servers)
    for server in servers:
        server.delete()
    for server in servers:
        server.await_gone()


def redis(cloud: Cloud, *words: str) -> str:
    """Return what the cloud's Redis answers."""
    command = ["redis-cli", "-s", str(cloud.state / "run" / "redis.sock"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
