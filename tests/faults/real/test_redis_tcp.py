"""Connections to a Redis on another machine that are half open: requests are answered, workers find it, all moves."""

import time
from collections.abc import Iterator

import pytest

from tests.cloud import redis_tcp
from tests.cloud.cloud import Cloud
from tests.cloud.half_open import HalfOpenProxy
from tests.faults.real.conftest import fake, watched
from tests.faults.real.load import Load, lost_connections, recovered

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

CUT_S = 10.0
LEFT_S = 5.0  # connections that stay half open for good are looked at again after this time
WITHIN_S = 15.0  # all that was accepted is made so soon after
WORKERS = ("control", "host-fake-1", "host-fake-2")


@pytest.fixture(scope="module")
def proxy() -> Iterator[HalfOpenProxy]:
    """Return what stands between the cloud and its Redis."""
    with redis_tcp.running() as port:
        made = HalfOpenProxy(port)
        yield made
        made.close()


@pytest.fixture(scope="module")
def cloud(proxy: HalfOpenProxy) -> Iterator[Cloud]:
    """Return a cloud with two fake hosts whose Redis is reached over TCP."""
    made = fake("tcp")
    made.settings["BROKER_URL"] = f"redis://127.0.0.1:{proxy.port}/0"
    yield from watched(made, "--hosts", "2")


def losses(cloud: Cloud) -> list[int]:
    """Return how often each worker said that it lost its broker."""
    return [lost_connections(cloud, worker) for worker in WORKERS]


def test_connections_to_redis_that_are_half_open_are_found_by_every_worker(
    cloud: Cloud, load: Load, proxy: HalfOpenProxy
) -> None:
    before, swallowed = losses(cloud), proxy.swallowed
    assert proxy.half_open() >= len(WORKERS)
    asked = len(load.servers)
    time.sleep(LEFT_S)  # those who connect anew are served at once
    assert len(load.servers) > asked
    recovered(
        cloud,
        load,
        "broker's connections half open",
        fired=proxy.swallowed > swallowed,
        within_s=WITHIN_S - LEFT_S,
    )
    assert all(now > then for then, now in zip(before, losses(cloud), strict=True))


def test_a_network_to_redis_that_is_dark_for_a_while_is_survived(
    cloud: Cloud, load: Load, proxy: HalfOpenProxy
) -> None:
    before, swallowed, asked = losses(cloud), proxy.swallowed, len(load.servers)
    proxy.dark = True
    proxy.half_open()
    time.sleep(CUT_S)
    assert len(load.servers) > asked, "requests were held up"
    proxy.dark = False  # what was connected meanwhile stays half open
    fault = f"broker's network dark for {CUT_S:.0f} s"
    recovered(cloud, load, fault, fired=proxy.swallowed > swallowed, within_s=WITHIN_S)
    assert all(now > then for then, now in zip(before, losses(cloud), strict=True))
