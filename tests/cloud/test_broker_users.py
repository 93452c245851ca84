"""The broker user of a host's worker: it reads its own queues, rings at others, and may nothing else."""

import shlex
from pathlib import Path
from typing import Any

import amqp
import pytest
from amqp.exceptions import AccessRefused
from kombu import Connection, Producer, Queue
from redis.exceptions import NoPermissionError

from computecloud.broker import redis
from computecloud.cli.enrolment import account
from tests.cloud import rabbitmq, redis_tcp
from tests.cloud.rabbitmq import SBIN, RabbitMQ

pytestmark = pytest.mark.cloud


def rabbitmqctl(broker: RabbitMQ, folder: Path) -> str:
    """Return a command that administers this broker, as an operator would give it."""
    script = folder / "rabbitmqctl"
    variables = [f"export {name}={shlex.quote(value)}" for name, value in broker._environment.items()]
    script.write_text(
        "\n".join(["#!/bin/sh", *variables, f'exec {SBIN}/rabbitmqctl -n {broker._node} "$@"\n'])
    )
    script.chmod(0o700)
    return str(script)


def test_a_host_s_user_reads_its_own_queues_and_rings_at_others(tmp_path: Path) -> None:
    with rabbitmq.running() as broker:
        command = rabbitmqctl(broker, tmp_path)
        for password in ("first", "second"):  # again it has the new password, and the same rights
            account.make(broker.url, "far", password, rabbitmqctl=command)

        def connected(password: str) -> amqp.Connection:
            place = f"127.0.0.1:{broker.port}"
            connection = amqp.Connection(place, userid=account.name_of("far"), password=password)
            connection.connect()
            return connection

        with pytest.raises(AccessRefused):
            connected("first")
        with broker.connection() as ours:
            ours.channel().queue_declare("host.other", durable=True, auto_delete=False)
        with connected("second") as far:
            channel = far.channel()
            for queue in ("host.far", "host.far.slow"):
                channel.queue_declare(queue, durable=True, auto_delete=False)
                channel.basic_publish(amqp.Message("a ring"), routing_key=queue)
                assert channel.basic_get(queue, no_ack=True) is not None
            channel.basic_publish(amqp.Message("a ring"), routing_key="host.other")
            for refused in (
                lambda one: one.basic_get("host.other"),
                lambda one: one.queue_delete("host.other"),
                lambda one: one.queue_declare("mine"),
                lambda one: one.queue_purge("host.other"),
            ):
                with pytest.raises(AccessRefused):
                    refused(far.channel())
        assert broker.waiting("host.other") == 1
        account.drop(broker.url, "far", rabbitmqctl=command)
        with pytest.raises(AccessRefused):
            connected("second")
        account.drop(broker.url, "far", rabbitmqctl=command)


def test_a_host_s_user_of_redis_declares_reads_and_rings_as_its_worker_does() -> None:
    with redis_tcp.running() as port:
        place = f"127.0.0.1:{port}/0"
        account.make(f"redis://{place}", "far", "secret", rabbitmqctl="false")
        options = redis.options(waits=True)
        far = Connection(
            f"redis://{account.name_of('far')}:secret@{place}",
            transport=redis.Transport,
            transport_options=options,
        )
        with far, far.channel() as channel:
            for name in ("host.far", "host.far.slow"):
                queue = Queue(name, routing_key=name)(channel)
                queue.declare()
                ring(channel, name)
                message = queue.get()
                assert message is not None
                message.ack()
            for name in ("host.other", "control"):
                ring(channel, name)
            for refused in (
                lambda: Queue("host.other")(channel).get(),
                lambda: Queue("host.other")(channel).purge(),
                lambda: channel.client.ltrim("host.other", 1, 0),
                lambda: channel.client.keys("*"),
                channel.client.flushall,
            ):
                with pytest.raises(NoPermissionError):
                    refused()


def ring(channel: Any, name: str) -> None:
    """Put a message into a queue."""
    Producer(channel).publish({"ring": 1}, routing_key=name, serializer="json")
