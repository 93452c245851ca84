"""Messages of a newer form, and no messages at all, put into real workers' queues: dropped, said so, nothing lost."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kombu
import pytest
from amqp.exceptions import ChannelError

from computecloud import broker
from tests.cloud import database
from tests.cloud.cloud import Cloud, until
from tests.cloud.servers import WHOLE, Server, boot, holdings

pytestmark = [pytest.mark.cloud, pytest.mark.faults]

STEP = "workers.step"
GATE = "create.place.taken"
QUEUES = {"control": "control", "host.fake-1": "host-fake-1"}  # each with the worker that reads it
ID = uuid.uuid4().hex
# name: (task, words, named words, what the log says)
STRANGE: dict[str, tuple[str, list[Any], dict[str, Any], str]] = {
    "more words": (STEP, [ID, "do", 0, 7], {}, "message.not_understood"),
    "named words": (STEP, [ID, "do", 0], {"epoch": 3}, "message.not_understood"),
    "another direction": (STEP, [ID, "sideways", 0], {}, "message.not_understood"),
    "words of other types": (STEP, [7, None, "place"], {}, "message.not_understood"),
    "an echo that says more": ("workers.echo", ["fake-1", 1, "more"], {}, "message.not_understood"),
    "unknown periodic work": ("workers.periodic", ["of tomorrow"], {}, "message.not_understood"),
    "an unknown task": ("workers.of_tomorrow", [ID], {}, "Received unregistered task"),
}
NO_MESSAGES: dict[str, tuple[bytes, str, dict[str, Any], str]] = {
    "no JSON": (b"{[", "application/json", {"task": STEP, "id": ID}, "Can't decode message body"),
    "pickled": (
        b"\x80\x04N.",
        "application/x-python-serialize",
        {"task": STEP, "id": ID},
        "Received invalid task message",
    ),
    "no headers": (b'{"all": "different"}', "application/json", {}, "deleted unknown message"),
}


@pytest.fixture(params=["fake_cloud", "rabbitmq_cloud"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Return a cloud on each broker."""
    made: Cloud = request.getfixturevalue(request.param)
    return made


@contextmanager
def producer(cloud: Cloud) -> Iterator[kombu.Producer]:
    """Return what publishes as ours does."""
    broker.register()
    url = cloud.settings.get("BROKER_URL") or f"redis+socket://{cloud.state / 'run' / 'redis.sock'}"
    options = broker.options(url, waits=True)
    with kombu.Connection(url, transport_options=options) as connection:
        yield kombu.Producer(connection)


def publish(cloud: Cloud, queue: str, task: str, words: list[Any], named: dict[str, Any]) -> None:
    """Publish a task's message."""
    headers = {"task": task, "id": uuid.uuid4().hex, "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    body = [words, named, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    with producer(cloud) as to:
        to.publish(body, routing_key=queue, headers=headers, serializer="json", correlation_id=headers["id"])


def length(cloud: Cloud, queue: str) -> int:
    """Return how many messages wait."""
    with producer(cloud) as to:
        try:
            return int(to.channel.queue_declare(queue, passive=True).message_count)
        except ChannelError:  # Redis keeps no empty list
            return 0


def said(cloud: Cloud, worker: str, words: str) -> int:
    """Return how often a worker's log has these words."""
    return (cloud.state / "log" / f"{worker}.log").read_text().count(words)


def works(cloud: Cloud, server: Server) -> None:
    """See that the server is made, and delete it."""
    server.await_status("ACTIVE")
    assert holdings(server) == WHOLE
    server.delete()
    server.await_gone()


@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("name", [*STRANGE, *NO_MESSAGES])
def test_a_real_worker_drops_what_it_does_not_understand(cloud: Cloud, queue: str, name: str) -> None:
    worker = QUEUES[queue]
    pid, expected = cloud.process(worker).pid, (STRANGE.get(name) or NO_MESSAGES[name])[3]
    before = said(cloud, worker, expected)
    if name in STRANGE:
        publish(cloud, queue, *STRANGE[name][:3])
    else:
        body, content_type, headers, _ = NO_MESSAGES[name]
        with producer(cloud) as to:
            to.publish(
                body, routing_key=queue, headers=headers, content_type=content_type, content_encoding="utf-8"
            )
    until(lambda: said(cloud, worker, expected) > before, 10, f"{worker} to say {expected}")
    works(cloud, boot(cloud))
    assert said(cloud, worker, expected) == before + 1, "it came back"
    assert length(cloud, queue) == 0
    assert cloud.process(worker).pid == pid


def test_an_operation_whose_only_message_is_of_a_newer_form_goes_on(cloud: Cloud) -> None:
    cloud.gates.close(GATE)
    held = [boot(cloud) for _ in range(2)]  # both threads of the control worker
    cloud.gates.await_reached(GATE)
    waiting = boot(cloud)
    operation = _operation(cloud, waiting)
    with producer(cloud) as to:
        until(lambda: length(cloud, "control") > 0, 5, "the genuine message to be there")
        to.channel.queue_purge("control")
    publish(cloud, "control", STEP, [operation, "do", 0, {"epoch": 1}], {})
    before = said(cloud, "control", "message.not_understood")
    cloud.gates.open(GATE)
    until(lambda: said(cloud, "control", "message.not_understood") > before, 10, "it to be dropped")
    for server in [*held, waiting]:
        works(cloud, server)


def _operation(cloud: Cloud, server: Server) -> str:
    question = "SELECT id FROM workers_operation WHERE subject_id = ?"
    [(found,)] = database.ask(cloud.state, question, server.id.replace("-", ""))
    return uuid.UUID(str(found)).hex
