"""A web process is killed between the commit and the answer: the request that is sent again makes no second server."""

import time
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest

from computecloud.cli.client import Refused
from computecloud.cli.failures import Failure
from tests.cloud import database
from tests.cloud.cloud import Cloud, FreshClient
from tests.cloud.servers import ACTIVE_S, WHOLE, holdings, request
from tests.cloud.test_outages import named, web_worker
from workers.idempotency import RUNNING_S

pytestmark = pytest.mark.cloud

SERVERS = "/compute/v2.1/servers"


class Keyed(FreshClient):
    """A client whose requests carry an Idempotency-Key."""

    def _logged_in(self) -> dict[str, str]:
        return {**super()._logged_in(), "Idempotency-Key": "once"}


def keyed(cloud: Cloud) -> Keyed:
    plain = cloud.client()
    return Keyed(plain.host, plain.port, plain.user, plain.password, plain.log)


def test_a_web_worker_killed_before_it_answers_makes_one_server(fake_cloud: Cloud) -> None:
    body, answers = request(fake_cloud, name="only-one"), list[Any]()

    def ask() -> None:
        with suppress(Failure):
            answers.append(keyed(fake_cloud).post(SERVERS, body))

    fake_cloud.gates.close("create.accepted")
    asking = Thread(target=ask)
    asking.start()
    fake_cloud.gates.await_reached("create.accepted")
    before = fake_cloud.process("web").pid
    fake_cloud.kill("web", pid=web_worker(fake_cloud))
    fake_cloud.gates.open("create.accepted")
    asking.join(30)
    assert answers == []
    fake_cloud.await_back("web", before)
    server = named(fake_cloud, "only-one")
    said = asked_until_told(fake_cloud, body)
    assert f"instance {server.id}" in said
    server.await_status("ACTIVE", ACTIVE_S)
    assert holdings(server) == WHOLE
    count = "SELECT count(*) FROM instances_instance WHERE name = ?"
    assert database.ask(fake_cloud.state, count, "only-one") == [(1,)]
    server.delete()
    server.await_gone()


def asked_until_told(cloud: Cloud, body: dict[str, Any]) -> str:
    """Send the request again until it is no longer taken for under way; returns what is said then."""
    deadline = time.monotonic() + RUNNING_S + 30
    while True:
        with pytest.raises(Refused) as refused:
            keyed(cloud).post(SERVERS, body)
        assert refused.value.status == 409
        if "under way" not in str(refused.value):
            return str(refused.value)
        assert time.monotonic() < deadline, "it is taken for under way for ever"
        time.sleep(1)
